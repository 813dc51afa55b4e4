package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// write writes the files below the folder out and removes generated files of earlier runs from the same packages.
func write(out string, files map[string][]byte) error {
	packages := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		target := filepath.Join(out, filepath.FromSlash(path))
		packages[filepath.Dir(target)] = true
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, files[path], 0o644); err != nil {
			return err
		}
	}
	for folder := range packages {
		if err := removeStale(out, folder, files); err != nil {
			return err
		}
	}
	return nil
}

func removeStale(out, folder string, files map[string][]byte) error {
	present, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return err
	}
	for _, path := range present {
		relative, err := filepath.Rel(out, path)
		if err != nil {
			return err
		}
		if _, written := files[filepath.ToSlash(relative)]; written {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(content, []byte(header)) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// importPathOf returns the import path of a folder by the go.mod above it. The folder need not exist.
func importPathOf(folder string) (string, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	for above := absolute; ; above = filepath.Dir(above) {
		content, err := os.ReadFile(filepath.Join(above, "go.mod"))
		if err == nil {
			relative, err := filepath.Rel(above, absolute)
			if err != nil {
				return "", err
			}
			for line := range strings.Lines(string(content)) {
				if module, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
					return strings.TrimSuffix(strings.Trim(strings.TrimSpace(module), `"`)+"/"+filepath.ToSlash(relative), "/."), nil
				}
			}
		}
		if above == filepath.Dir(above) {
			return "", fmt.Errorf("there is no go.mod above %s: run go mod init NAME there, or give the import path by -import", folder)
		}
	}
}

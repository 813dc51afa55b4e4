package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// module is the path of this Go module.
const module = "github.com/remotechargeport/remotechargeport"

// program is a program for boards: its folder below examples and the name of its file.
type program struct{ folder, name string }

// programs are all programs for boards. The other examples run on a developer's machine.
var programs = []program{
	{"agent", "SatelliteAgent"},
	{"controller", "SatelliteController"},
	{"aggregator", "SystemAggregator"},
	{"satctl", "satctl"},
	{"satkeys", "satkeys"},
}

// target is a processor of boards.
type target struct {
	name        string
	environment []string
}

var targets = []target{
	{"amd64", []string{"GOARCH=amd64"}},
	{"arm64", []string{"GOARCH=arm64"}},
	{"armv7", []string{"GOARCH=arm", "GOARM=7"}},
}

func targetNamed(name string) (target, bool) {
	for _, target := range targets {
		if target.name == name {
			return target, true
		}
	}
	return target{}, false
}

// tags exclude what the programs do not use: the HTTP/2 of net/http.
const tags = "nethttpomithttp2"

// linkerFlags exclude what only debuggers read.
const linkerFlags = "-s -w"

// built is a program that was built for one target.
type built struct {
	program string
	target  string
	path    string // relative to the output directory, with slashes
	size    int64
}

func buildAll(ctx context.Context, directory string, wanted []target, errs io.Writer) ([]built, error) {
	absolute, err := filepath.Abs(directory)
	if err != nil {
		return nil, err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	var all []built
	total := len(wanted) * len(programs)
	for number, target := range wanted {
		for i, program := range programs {
			if _, err := os.Stat(filepath.Join(root, "examples", program.folder)); errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(errs, "dist: skipped examples/%s, which this checkout lacks\n", program.folder)
				continue
			}
			fmt.Fprintf(errs, "dist: %d of %d: %s for %s\n", number*len(programs)+i+1, total, program.name, target.name)
			result := built{program: program.name, target: target.name, path: path.Join("linux-"+target.name, program.name)}
			output := filepath.Join(absolute, filepath.FromSlash(result.path))
			if err := build(ctx, root, target, program, output, errs); err != nil {
				return nil, err
			}
			info, err := os.Stat(output)
			if err != nil {
				return nil, err
			}
			result.size = info.Size()
			all = append(all, result)
		}
	}
	return all, nil
}

func build(ctx context.Context, root string, target target, program program, output string, errs io.Writer) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", tags, "-ldflags", linkerFlags, "-o", output, module+"/examples/"+program.folder)
	command.Dir = root
	// The user's GOFLAGS and processor variants must not change the bytes.
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0")
	command.Env = append(command.Env, target.environment...)
	command.Stderr = errs
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s for %s: %w", program.name, target.name, err)
	}
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	root := strings.TrimSpace(string(output))
	if err != nil || root == "" {
		return "", fmt.Errorf("not in a checkout of %s: %w", module, err)
	}
	return root, nil
}

package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// writeSums writes SHA256SUMS in the format of `sha256sum -c`: one for all programs, and one in each folder.
func writeSums(directory string, all []built) error {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b built) int { return cmp.Compare(a.path, b.path) })
	texts := map[string]string{}
	for _, one := range sorted {
		sum, err := sumOf(filepath.Join(directory, filepath.FromSlash(one.path)))
		if err != nil {
			return err
		}
		folder, name := path.Split(one.path)
		texts[""] += fmt.Sprintf("%x  %s\n", sum, one.path)
		texts[folder] += fmt.Sprintf("%x  %s\n", sum, name)
	}
	for folder, text := range texts {
		if err := os.WriteFile(filepath.Join(directory, filepath.FromSlash(folder), "SHA256SUMS"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func sumOf(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return nil, err
	}
	return hash.Sum(nil), nil
}

// printSizes prints a table of sizes in MiB, with a row for each program and a column for each target.
func printSizes(out io.Writer, all []built, wanted []target) error {
	sizes := map[[2]string]int64{}
	var names []string
	for _, one := range all {
		sizes[[2]string{one.program, one.target}] = one.size
		if !slices.Contains(names, one.program) {
			names = append(names, one.program)
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "MiB")
	for _, target := range wanted {
		fmt.Fprint(table, "\t", target.name)
	}
	fmt.Fprintln(table)
	for _, name := range names {
		fmt.Fprint(table, name)
		for _, target := range wanted {
			fmt.Fprintf(table, "\t%.2f", float64(sizes[[2]string{name, target.name}])/(1<<20))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

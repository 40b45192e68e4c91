// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stdinPath stands for standard input.
const stdinPath = "-"

// expandPaths makes a list of files of what the user gave: files as they are, the YAML files of folders, and what globs match,
// for shells that leave them alone. Each file is there once. What matches nothing is an error.
func expandPaths(args []string) ([]string, error) {
	var paths []string
	for _, arg := range args {
		found, err := expandPath(arg)
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}

func expandPath(arg string) ([]string, error) {
	if arg == stdinPath {
		return []string{arg}, nil
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		found, err := yamlFiles(arg)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%s: there is no *.yaml or *.yml in this folder: name a file", arg)
		}
		return found, err
	case err == nil:
		return []string{arg}, nil
	case !strings.ContainsAny(arg, "*?["):
		return nil, fmt.Errorf("%w: name a file, a folder with some, or a pattern", err)
	}
	found, globErr := filepath.Glob(arg)
	if globErr != nil {
		return nil, fmt.Errorf("%s: %w: a glob has *, ? and [a-z]", arg, globErr)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no file matches", arg)
	}
	return found, nil
}

func yamlFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if extension := filepath.Ext(e.Name()); !e.IsDir() && (extension == ".yaml" || extension == ".yml") {
			found = append(found, filepath.Join(folder, e.Name()))
		}
	}
	return found, nil
}

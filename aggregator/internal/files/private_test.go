package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestReadKey(t *testing.T) {
	home := t.TempDir()
	for mode, isRead := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o620: false, 0o601: false} {
		path := filepath.Join(home, "key")
		write(t, path, "secret", mode)
		key, err := ReadKey(path)
		switch {
		case isRead && (err != nil || string(key) != "secret"):
			t.Errorf("mode %o: %q, %v", mode, key, err)
		case !isRead && (!errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path+" has mode 0") || !strings.Contains(err.Error(), "chmod 0600 "+path)):
			t.Errorf("mode %o: %v", mode, err)
		}
		os.Remove(path)
	}
	write(t, home+"/large", strings.Repeat("x", maxKey+1), 0o600)
	for _, path := range []string{home + "/large", home + "/none", home} {
		if key, err := ReadKey(path); err == nil {
			t.Errorf("%s: %d bytes", path, len(key))
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	write(t, home+"/others", "secret", 0o600)
	if err := os.Chown(home+"/others", 1234, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(home + "/others"); err == nil || !strings.Contains(err.Error(), "belongs to user 1234: chown 0 ") {
		t.Errorf("another user's key: %v", err)
	}
}

// Others may write to the directory in which the module makes its own.
func TestEmptyDirectoryFollowsNoLink(t *testing.T) {
	home := t.TempDir()
	precious := filepath.Join(home, "precious")
	if err := os.MkdirAll(precious+"/received", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, precious+"/received/file", "precious", 0o644)
	incoming := filepath.Join(home, "incoming")
	if err := os.Mkdir(incoming, 0o777); err != nil {
		t.Fatal(err)
	}
	symlink(t, precious, incoming+"/.module")
	if err := EmptyDirectory(incoming + "/.module/received"); err == nil || !strings.Contains(err.Error(), ".module is not a directory") {
		t.Errorf("a link above: %v", err)
	}
	if err := os.Remove(incoming + "/.module"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(incoming+"/.module", 0o700); err != nil {
		t.Fatal(err)
	}
	symlink(t, precious+"/received", incoming+"/.module/received")
	if err := EmptyDirectory(incoming + "/.module/received"); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(incoming + "/.module/received"); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("made %v, %v", info, err)
	}
	if content, err := os.ReadFile(precious + "/received/file"); err != nil || string(content) != "precious" {
		t.Errorf("the target of a link is %q, %v", content, err)
	}
	write(t, incoming+"/.module/received/left", "over", 0o600)
	if err := EmptyDirectory(incoming + "/.module/received"); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(incoming + "/.module/received"); err != nil || len(entries) != 0 {
		t.Errorf("left over: %v, %v", entries, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(incoming+"/.module", 1234, -1); err != nil {
		t.Fatal(err)
	}
	if err := EmptyDirectory(incoming + "/.module/received"); err == nil || !strings.Contains(err.Error(), "belongs to user 1234") {
		t.Errorf("another user's directory: %v", err)
	}
}

func TestMoveTakesOnlyFiles(t *testing.T) {
	home := t.TempDir()
	found, taken := filepath.Join(home, "found"), filepath.Join(home, "taken")
	for name, make := range map[string]func(){
		"a file":          func() { write(t, found, "log", 0o644) },
		"a symbolic link": func() { symlink(t, "/etc/passwd", found) },
		"a directory":     func() { os.Mkdir(found, 0o755) },
		"nothing":         func() {},
	} {
		make()
		info, err := Move(found, taken)
		if isFile := name == "a file"; isFile != (err == nil) || isFile && info.Size() != 3 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if _, missing := os.Lstat(taken); (err == nil) != (missing == nil) {
			t.Errorf("%s: %v, but taken: %v", name, err, missing)
		}
		os.RemoveAll(found)
		os.RemoveAll(taken)
	}
}

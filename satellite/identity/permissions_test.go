package identity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// chmod changes the mode of a file, with the special bits as they are on a disk.
func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// wantRejected checks that an identity cannot be used, and that the error has what is wrong and what to do.
func wantRejected(t *testing.T, directory string, says ...string) {
	t.Helper()
	_, err := Load(directory)
	if _, err2 := LoadTrust(directory); err == nil {
		err = err2
	}
	if err == nil {
		t.Fatalf("accepted, want an error that says %q", says)
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

// As with sshd's StrictModes.
func TestPermissions(t *testing.T) {
	for _, test := range []struct {
		name string
		// change gets the directory above the identity's.
		change func(t *testing.T, home string)
		says   []string
	}{
		{"a key that the group can read", func(t *testing.T, home string) { chmod(t, home+"/board/identity.pem", 0o640) },
			[]string{"/board/identity.pem has mode 0640", "chmod 0600 "}},
		{"trust that others can write", func(t *testing.T, home string) { chmod(t, home+"/board/trusted.json", 0o602) },
			[]string{"/board/trusted.json has mode 0602", "chmod 0600 "}},
		{"a directory that others can read", func(t *testing.T, home string) { chmod(t, home+"/board", 0o705) },
			[]string{"/board has mode 0705", "chmod 0700 "}},
		{"a directory above that the group can write", func(t *testing.T, home string) { chmod(t, home, 0o770) },
			[]string{"has mode 0770", "others can replace", "chmod go-w "}},
		{"the same with the sticky bit", func(t *testing.T, home string) { chmod(t, home, 0o777|os.ModeSticky) }, nil},
		{"a link where nobody else may write", func(t *testing.T, home string) {
			if err := os.Rename(home+"/board", home+"/elsewhere"); err != nil {
				t.Fatal(err)
			}
			symlink(t, "elsewhere", home+"/board")
		}, nil},
		{"a link where others may write", func(t *testing.T, home string) {
			if err := os.MkdirAll(home+"/open", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(home+"/board", home+"/elsewhere"); err != nil {
				t.Fatal(err)
			}
			symlink(t, home+"/elsewhere", home+"/open/link")
			symlink(t, "open/link", home+"/board")
			chmod(t, home+"/open", 0o777)
		}, []string{"/open has mode 0777", "others can replace"}},
		{"a link to a place where others may write", func(t *testing.T, home string) {
			if err := os.MkdirAll(home+"/open", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(home+"/board/identity.pem", home+"/open/key"); err != nil {
				t.Fatal(err)
			}
			symlink(t, "../open/key", home+"/board/identity.pem")
			chmod(t, home+"/open", 0o777)
		}, []string{"/open has mode 0777", "others can replace"}},
		{"a link to itself", func(t *testing.T, home string) {
			if err := os.Remove(home + "/board/identity.pem"); err != nil {
				t.Fatal(err)
			}
			symlink(t, "identity.pem", home+"/board/identity.pem")
		}, []string{"too many levels of symbolic links"}},
		{"a directory instead of a key", func(t *testing.T, home string) {
			if err := os.Remove(home + "/board/identity.pem"); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(home+"/board/identity.pem", 0o700); err != nil {
				t.Fatal(err)
			}
		}, []string{"is not a regular file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			pin(t, home+"/board", created(t, home+"/board", "SAT01"))
			test.change(t, home)
			if test.says != nil {
				wantRejected(t, home+"/board", test.says...)
				return
			}
			must(Load(home + "/board"))(t)
			if trust := must(LoadTrust(home + "/board"))(t); len(trust.Peers) != 1 {
				t.Errorf("trusted: %+v", trust)
			}
		})
	}
}

// A directory is not made where others could replace it.
func TestNoKeyIsMadeWhereOthersMayWrite(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(home+"/secret", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(home+"/open", 0o700); err != nil {
		t.Fatal(err)
	}
	symlink(t, home+"/secret", home+"/open/board")
	chmod(t, home+"/open", 0o777)
	for _, directory := range []string{home + "/open/new/board", home + "/open/board", home + "/open/board/below"} {
		if _, err := Create(directory, CreateOptions{Serial: "SAT01"}); err == nil || !strings.Contains(err.Error(), "/open has mode 0777") {
			t.Errorf("%s: %v", directory, err)
		}
	}
	for _, directory := range []string{home + "/secret", home + "/open"} {
		entries, err := os.ReadDir(directory)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if entry.Name() != "board" {
				t.Errorf("%s was made", filepath.Join(directory, entry.Name()))
			}
		}
	}
}

// The files of another user are not used, except by root those of the user to whom the directory belongs: satkeys under
// sudo must leave a directory that the module can read.
func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const everest, stranger = 1234, 1235
	home := t.TempDir()
	directory := home + "/board"
	created(t, directory, "SAT01")
	give := func(path string, user int) {
		t.Helper()
		if err := os.Chown(path, user, -1); err != nil {
			t.Fatal(err)
		}
	}
	give(directory+"/identity.pem", stranger)
	wantRejected(t, directory, "owned by another user", "identity.pem belongs to user 1235", "chown 0 ")
	give(directory, everest)
	wantRejected(t, directory, "identity.pem belongs to user 1235")
	give(directory+"/identity.pem", everest)
	pin(t, directory, must(Load(directory))(t))
	info := must(os.Stat(directory + "/trusted.json"))(t)
	if ownerOf(info) != everest || info.Mode().Perm() != 0o600 {
		t.Errorf("root wrote a file of user %d with mode %o", ownerOf(info), info.Mode().Perm())
	}
	if err := os.Chown(home, everest, everest); err != nil {
		t.Fatal(err)
	}
	chmod(t, home, 0o775)
	must(Load(directory))(t) // the group is the user's private one
	if err := os.Chown(home, everest, stranger); err != nil {
		t.Fatal(err)
	}
	wantRejected(t, directory, "has mode 0775", "others can replace")
	chmod(t, home, 0o755)
	give(home, stranger)
	wantRejected(t, directory, "belongs to user 1235")
}

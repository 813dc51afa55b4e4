package durabletest

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// maxWrite bounds one call of write, in bytes.
const maxWrite = 16 << 20

// tracedCalls are the calls that may change files, and those that tell which file a number means. A call of this list
// that calls.go does not understand is an error, so that nothing is left out without a word.
const tracedCalls = "open,openat,creat,close,dup,dup2,dup3,lseek,read,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile," +
	"fsync,fdatasync,sync,syncfs,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,mknod,mknodat," +
	"chmod,fchmod,fchmodat,newfstatat,lstat,stat"

// recording is what strace has recorded of a program that keeps files in a directory.
type recording struct {
	directory string
	lines     string
}

// call is a system call that has returned without an error.
type call struct {
	name      string
	arguments []string
	result    int
}

// parse returns the calls in the order in which they returned.
func (r recording) parse() ([]call, error) {
	var calls []call
	unfinished := map[string]string{}
	for line := range strings.Lines(r.lines) {
		thread, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		text = strings.TrimLeft(text, " ")
		if begun, cut := strings.CutSuffix(text, " <unfinished ...>"); cut {
			unfinished[thread] = begun
			continue
		}
		if resumed, ok := strings.CutPrefix(text, "<... "); ok {
			_, rest, _ := strings.Cut(resumed, " resumed>")
			text = unfinished[thread] + rest
			delete(unfinished, thread)
		}
		parsed, ok, err := parseCall(text)
		if err != nil {
			return nil, fmt.Errorf("%w in %.200q", err, line)
		}
		if ok {
			calls = append(calls, parsed)
		}
	}
	return calls, nil
}

// parseCall parses a line of strace. It returns false for a line that is no call, and for a call that has failed, but
// for the look-up of a marker.
func parseCall(text string) (call, bool, error) {
	name, rest, found := strings.Cut(text, "(")
	if !found || strings.HasPrefix(text, "+++") || strings.HasPrefix(text, "---") {
		return call{}, false, nil
	}
	end := strings.LastIndex(rest, ") = ")
	if padded := strings.LastIndex(rest, ") "); end < 0 && padded >= 0 {
		end = padded
	}
	if end < 0 {
		return call{}, false, nil // the process ended in it
	}
	_, value, _ := strings.Cut(rest[end:], "= ")
	number, _, _ := strings.Cut(value, " ")
	result, err := strconv.Atoi(number)
	if err != nil {
		return call{}, false, nil // "?": no result, as the process ended
	}
	if result < 0 && name != "newfstatat" && name != "lstat" {
		return call{}, false, nil
	}
	arguments, err := splitArguments(rest[:end])
	return call{name, arguments, result}, err == nil, err
}

// splitArguments splits at commas outside of texts and braces, and decodes the texts.
func splitArguments(text string) ([]string, error) {
	var arguments []string
	depth, begin, quoted := 0, 0, false
	add := func(end int) error {
		argument := strings.TrimSpace(text[begin:end])
		if strings.HasPrefix(argument, `"`) {
			if !strings.HasSuffix(argument, `"`) {
				return fmt.Errorf("a text that strace has cut")
			}
			decoded, err := hex.DecodeString(strings.ReplaceAll(strings.Trim(argument, `"`), `\x`, ""))
			if err != nil {
				return err
			}
			argument = string(decoded)
		}
		arguments = append(arguments, argument)
		return nil
	}
	for i, character := range []byte(text) {
		switch {
		case character == '"':
			quoted = !quoted
		case quoted:
		case character == '{' || character == '[':
			depth++
		case character == '}' || character == ']':
			depth--
		case character == ',' && depth == 0:
			if err := add(i); err != nil {
				return nil, err
			}
			begin = i + 1
		}
	}
	return arguments, add(len(text))
}

func (c call) argument(i int) string {
	if i < len(c.arguments) {
		return c.arguments[i]
	}
	return ""
}

// number returns an argument that is a number in decimal or octal notation, 0 for any other.
func (c call) number(i int) int {
	n, err := strconv.ParseInt(c.argument(i), 0, 64)
	if err != nil {
		return 0
	}
	return int(n)
}

func (c call) String() string {
	var short []string
	for _, argument := range c.arguments {
		if len(argument) > 60 {
			argument = argument[:60] + "..."
		}
		short = append(short, argument)
	}
	return c.name + "(" + strings.Join(short, ", ") + ")"
}

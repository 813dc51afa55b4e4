package terminal

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is how many bytes of one text Printable leaves. The rest is cut off.
const maxText = 500

// isActive reports whether a terminal may do something else with a character than show it: control characters, those
// that change the direction of the text, and what is no UTF-8.
func isActive(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// Text returns a text of foreign origin as one line in which nothing controls a terminal. Active characters are written
// as in JSON.
func Text(text string) string { return escape(text, "") }

// escape escapes the active characters other than those to keep.
func escape(text, keep string) string {
	mustEscape := func(r rune) bool { return isActive(r) && !strings.ContainsRune(keep, r) }
	if !strings.ContainsFunc(text, mustEscape) {
		return text
	}
	var safe strings.Builder
	for _, r := range text {
		switch {
		case !mustEscape(r):
			safe.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&safe, `\U%08x`, r)
		default:
			fmt.Fprintf(&safe, `\u%04x`, r)
		}
	}
	return safe.String()
}

// Escaped returns a writer that escapes active characters. Newlines and tabs pass. Each Write must have whole
// characters.
func Escaped(output io.Writer) io.Writer { return escaped{output} }

type escaped struct{ output io.Writer }

func (e escaped) Write(text []byte) (int, error) {
	if _, err := io.WriteString(e.output, escape(string(text), "\n\t")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Printable returns a copy of a value of foreign origin whose texts are safe for a table: each is one line of maxText
// bytes at most, in which nothing controls a terminal. It copies exported fields of structs, slices and pointers.
func Printable[T any](value T) T {
	copied := reflect.New(reflect.TypeFor[T]()).Elem()
	copied.Set(reflect.ValueOf(&value).Elem())
	makePrintable(copied)
	return copied.Interface().(T)
}

func makePrintable(value reflect.Value) {
	switch value.Kind() {
	case reflect.String:
		text := value.String()
		if len(text) > maxText {
			text = strings.ToValidUTF8(text[:maxText], "") + "..."
		}
		value.SetString(Text(text))
	case reflect.Pointer:
		if !value.IsNil() {
			pointed := reflect.New(value.Type().Elem())
			pointed.Elem().Set(value.Elem())
			makePrintable(pointed.Elem())
			value.Set(pointed)
		}
	case reflect.Slice:
		if !value.IsNil() {
			elements := reflect.MakeSlice(value.Type(), value.Len(), value.Len())
			reflect.Copy(elements, value)
			for i := range elements.Len() {
				makePrintable(elements.Index(i))
			}
			value.Set(elements)
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if field := value.Field(i); field.CanSet() {
				makePrintable(field)
			}
		}
	}
}

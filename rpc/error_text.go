package rpc

import (
	"errors"
	"strconv"
	"strings"
)

// The error texts of rpclib, to the byte: peers compare and log them. The functions follow rpclib where it is odd. The
// two numbers of textArity are swapped, only that text lacks the full stop, and the text of an exception ends at its
// first NUL.

const notFoundPrefix = "rpclib: server could not find function '"

// textBadCast is what a C++ conversion to the wrong type reports.
const textBadCast = "std::bad_cast"

func textNotFound(method string, count int) string {
	return notFoundPrefix + method + "' with argument count " + strconv.Itoa(count) + "."
}

func textArity(method string, given, declared int) string {
	return "rpclib: client error C0002: Function '" + method + "' was called with an invalid number of arguments. Expected: " +
		strconv.Itoa(given) + ", got: " + strconv.Itoa(declared)
}

func textException(method string, count int, what string) string {
	what, _, _ = strings.Cut(what, "\x00")
	return "rpclib: function '" + method + "' (called with " + strconv.Itoa(count) +
		" arg(s)) threw an exception. The exception contained this information: " + what + "."
}

func textUnknownException(method string, count int) string {
	return "rpclib: function '" + method + "' (called with " + strconv.Itoa(count) +
		" arg(s)) threw an exception. The exception is not derived from std::exception. No further information available."
}

func textAlreadyBound(method string) string {
	return "Function name already bound: '" + method + "'. Please use unique function names"
}

// errorValue returns the error value that rpclib sends for what a function returned.
func errorValue(method string, count int, err error) any {
	if value, ok := errors.AsType[ErrorValue](err); ok && value.Value != nil {
		return value.Value
	} else if ok {
		return textNotFound(method, count)
	}
	if errors.Is(err, ErrType) {
		return textException(method, count, textBadCast)
	}
	return textException(method, count, err.Error())
}

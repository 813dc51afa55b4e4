//go:build !unix

package identity

func isReset(error) bool { return false }

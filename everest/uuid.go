package everest

import (
	"crypto/rand"
	"encoding/hex"
)

// newUUID returns a random UUID (version 4) in lower case.
func newUUID() string {
	var random [16]byte
	rand.Read(random[:]) // never fails, says its documentation
	random[6] = random[6]&0x0f | 0x40
	random[8] = random[8]&0x3f | 0x80
	var text [36]byte
	for i, part := 0, 0; i < 16; i++ {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[part] = '-'
			part++
		}
		hex.Encode(text[part:], random[i:i+1])
		part += 2
	}
	return string(text[:])
}

package transfer

import (
	"slices"
	"strings"
)

// ftpLines finds the commands in what a client sends, piece by piece, and keeps no more than the first word of a line. A
// command that the receiver does not know becomes one that the library does not have: it replies to one that it does not
// know beside the replies of a transfer in progress, with the same buffer.
type ftpLines struct {
	word    []byte
	started bool // a line has begun
	passed  bool // its first word has been passed on
	dropped bool // the rest of it is not passed on
	early   bool // a part of it was early
}

// maxWord is how long the first word of a line may be. A Telnet interrupt may stand before a command of four letters.
const maxWord = 16

// ftpUnknown stands for every command that the receiver does not know: the library replies 502.
const ftpUnknown = "HELP"

// ftpCommands are the commands that the receiver knows, most of them to refuse them.
var ftpCommands = strings.Fields(`ABOR ALLO APPE AUTH CDUP CLNT CWD DELE EPRT EPSV FEAT LIST MDTM MKD MLSD MLST MODE NLST NOOP OPTS PASS
	PASV PBSZ PORT PROT PWD QUIT REST RETR RMD RNFR RNTO SITE SIZE STOR SYST TYPE USER XCWD XMKD XPWD XRMD`)

// knownCommand returns a command in capital letters. A client that sends ABOR as Telnet's interrupt sends other bytes before
// it (RFC 959 section 4.1.3).
func knownCommand(word []byte) string {
	command := strings.ToUpper(string(word))
	switch {
	case strings.HasSuffix(command, "ABOR"):
		return "ABOR"
	case slices.Contains(ftpCommands, command):
		return command
	}
	return ftpUnknown
}

// add appends what is passed on of piece to out. It returns the commands of the lines that end in piece, but for lines of
// which a part was early.
func (l *ftpLines) add(out, piece []byte, early bool) (passed []byte, commands []string) {
	for _, b := range piece {
		l.early, l.started = l.early || early, true
		isEnd := b == '\n' || b == '\r' || b == ' '
		switch {
		case l.passed:
		case isEnd || len(l.word) == maxWord:
			command := knownCommand(l.word)
			out, l.passed, l.dropped = append(out, command...), true, command == ftpUnknown
			l.word = append(l.word[:0], command...)
		default:
			l.word = append(l.word, b)
		}
		if b == '\n' || (l.passed && !l.dropped) {
			out = append(out, b)
		}
		if b == '\n' {
			if !l.early {
				commands = append(commands, string(l.word))
			}
			*l = ftpLines{word: l.word[:0]}
		}
	}
	return out, commands
}

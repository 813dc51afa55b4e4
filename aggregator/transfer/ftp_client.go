package transfer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// ftpClient is a client for one upload: the commands of RFC 959, RFC 2228 and RFC 2428 that store a file in passive mode.
// A refusal of the server is a *textproto.Error. The connections end with the attempt.
type ftpClient struct {
	attempt *attempt
	conn    net.Conn
	replies *bufio.Reader
	host    string // the server's address
	secured bool   // data connections use TLS
	// announce: the server wants PRET before EPSV and PASV.
	announce bool
}

const (
	// maxReply is how many bytes one reply of a server may have. A longer one fails the attempt.
	maxReply = 64 << 10
	// extendedTimeout is how long the data connection of EPSV may take to be established, or half of StallTimeout where that
	// is shorter. PASV is tried then.
	extendedTimeout = 10 * time.Second
)

var (
	errReply = errors.New("the server does not speak FTP")
	errEarly = errors.New("the server confirmed the file before it was sent")
)

// dialFTP connects to the location's server and waits until the server is ready for a login.
func (a *attempt) dialFTP(ctx context.Context, security ftpSecurity) (*ftpClient, error) {
	conn, err := a.dial(ctx, "tcp", a.location.address())
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &ftpClient{attempt: a, conn: conn, host: host, replies: bufio.NewReader(conn), secured: security != ftpPlain}
	if err := c.greet(ctx, security); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

// greet waits for the server's greeting, and begins TLS.
func (c *ftpClient) greet(ctx context.Context, security ftpSecurity) error {
	if security == ftpImplicit {
		if err := c.secure(ctx); err != nil {
			return err
		}
	}
	for {
		code, text, err := c.reply()
		switch {
		case err != nil:
			return err
		case code == 120: // the server is ready in some minutes
			continue
		case code/100 != 2:
			return &textproto.Error{Code: code, Msg: text}
		case security != ftpExplicit:
			return nil
		}
		if _, err := c.command("AUTH TLS"); err != nil {
			return err
		}
		return c.secure(ctx)
	}
}

// secure begins TLS on the control connection. What the server has sent before in plain text is not read.
func (c *ftpClient) secure(ctx context.Context) error {
	secured := tls.Client(c.conn, c.attempt.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	c.conn, c.replies = secured, bufio.NewReader(secured)
	return nil
}

// reply reads one reply. RFC 959 section 4.2: the lines of a longer one end with the line that has the first one's code
// and a space.
func (c *ftpClient) reply() (code int, text string, err error) { return readReply(c.replies) }

func readReply(from *bufio.Reader) (code int, text string, err error) {
	var lines []string
	for left := maxReply; ; {
		line, err := readLine(from, left)
		if err != nil {
			return 0, "", err
		}
		left -= len(line) + 1
		number, ok := codeOf(line)
		if len(lines) == 0 {
			if !ok {
				return 0, "", fmt.Errorf("%w: it sent %.40q", errReply, line)
			}
			code = number
		}
		last := ok && number == code && !strings.HasPrefix(line[3:], "-")
		if ok && number == code {
			line = strings.TrimLeft(line[3:], "- ")
		}
		lines = append(lines, line)
		if last {
			return code, strings.Join(lines, "\n"), nil
		}
	}
}

// readLine reads a line without its end.
func readLine(from *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		part, err := from.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return "", fmt.Errorf("%w: its reply is longer than %d bytes", errReply, maxReply)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return strings.TrimRight(string(line), "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return "", io.ErrUnexpectedEOF
		default:
			return "", err
		}
	}
}

// codeOf returns the reply code at the beginning of a line.
func codeOf(line string) (int, bool) {
	if len(line) < 3 || (len(line) > 3 && line[3] != ' ' && line[3] != '-') {
		return 0, false
	}
	code, err := strconv.ParseUint(line[:3], 10, 16)
	return int(code), err == nil && code >= 100 && code < 600
}

// ask sends a command and returns the reply, whatever it is.
func (c *ftpClient) ask(command string) (code int, text string, err error) {
	if strings.ContainsAny(command, "\r\n") {
		return 0, "", &Error{Status: BadMessage, Permanent: true, Err: errMalformed}
	}
	if _, err := io.WriteString(c.conn, command+"\r\n"); err != nil {
		return 0, "", err
	}
	return c.reply()
}

// command sends a command, and fails where the reply is no success. RFC 1123 section 4.1.2.11: its first digit decides.
func (c *ftpClient) command(command string) (text string, err error) {
	code, text, err := c.ask(command)
	if err == nil && code/100 != 2 {
		err = &textproto.Error{Code: code, Msg: text}
	}
	return text, err
}

// login logs in, and sets what the upload needs.
func (c *ftpClient) login(user, password string) error {
	code, text, err := c.ask("USER " + user)
	if err == nil && code == 331 {
		code, text, err = c.ask("PASS " + password)
	}
	if err == nil && code/100 != 2 {
		err = &textproto.Error{Code: code, Msg: text}
	}
	if err != nil {
		return fmt.Errorf("cannot log in: %w", err)
	}
	code, features, err := c.ask("FEAT")
	if err != nil {
		return err
	}
	commands := []string{"TYPE I"}
	if c.secured {
		commands = append(commands, "PBSZ 0", "PROT P")
	}
	for _, command := range commands {
		if _, err := c.command(command); err != nil {
			return fmt.Errorf("the server refused %s: %w", command, err)
		}
	}
	if code != 211 {
		return nil
	}
	for feature := range strings.Lines(features) {
		switch strings.ToUpper(strings.TrimSpace(feature)) {
		case "UTF8": // RFC 2640. Servers that always use it may refuse the command.
			if _, _, err := c.ask("OPTS UTF8 ON"); err != nil {
				return err
			}
		case "PRET":
			c.announce = true
		}
	}
	return nil
}

// store sends content as a file in the current directory. Every 2xx after the file is a success: RFC 959 section 5.4 has
// 226 and 250.
func (c *ftpClient) store(ctx context.Context, name string, content io.Reader) error {
	if c.announce {
		if _, err := c.command("PRET STOR " + name); err != nil {
			return fmt.Errorf("the server did not take the file: %w", err)
		}
	}
	data, err := c.passive(ctx)
	if err != nil {
		return err
	}
	defer data.Close()
	code, text, err := c.ask("STOR " + name)
	switch {
	case err != nil:
		return err
	case code/100 == 2:
		return errEarly
	case code/100 != 1:
		return fmt.Errorf("the server did not take the file: %w", &textproto.Error{Code: code, Msg: text})
	}
	failure := sendFile(ctx, data, content)
	for code/100 == 1 {
		if code, text, err = c.reply(); err != nil {
			return errors.Join(failure, err)
		}
	}
	if code/100 != 2 {
		// The reply has the reason why the server took no more.
		return fmt.Errorf("the server did not take the file: %w", &textproto.Error{Code: code, Msg: text})
	}
	return failure
}

// sendFile sends content and closes the data connection, which is the end of the file.
func sendFile(ctx context.Context, data net.Conn, content io.Reader) error {
	written, err := io.Copy(data, content)
	if secured, ok := data.(*drainedConn); ok && err == nil && written == 0 {
		err = secured.HandshakeContext(ctx) // which the first write makes otherwise
	}
	return errors.Join(err, data.Close())
}

// passive makes the data connection. PASV follows an EPSV (RFC 2428) that the server refuses, or whose port cannot be
// reached: not every firewall in front of a server knows EPSV.
func (c *ftpClient) passive(ctx context.Context) (net.Conn, error) {
	text, err := c.command("EPSV")
	if err == nil {
		var port int
		if port, err = extendedPort(text); err == nil {
			var data net.Conn
			if data, err = c.connect(ctx, port, min(extendedTimeout, c.attempt.uploader.config.StallTimeout/2)); err == nil {
				return data, nil
			}
		}
	}
	if _, refused := errors.AsType[*textproto.Error](err); ctx.Err() != nil || (!refused && isEnd(err)) {
		return nil, err
	}
	text, second := c.command("PASV")
	if second == nil {
		var port int
		if port, second = passivePort(text); second == nil {
			var data net.Conn
			if data, second = c.connect(ctx, port, 0); second == nil {
				return data, nil
			}
		}
	}
	return nil, fmt.Errorf("no data connection: by PASV: %w; by EPSV: %w", second, err)
}

// connect connects to a port of the server. The address in a reply is not used: it may be one behind the server's own
// firewall, or another host's.
func (c *ftpClient) connect(ctx context.Context, port int, timeout time.Duration) (net.Conn, error) {
	dialing := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		dialing, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	conn, err := c.attempt.dialFor(ctx, dialing, "tcp", net.JoinHostPort(c.host, strconv.Itoa(port)))
	if err != nil || !c.secured {
		return conn, err
	}
	// A server may want the command before the data connection's handshake: the first write makes the handshake.
	return &drainedConn{Conn: tls.Client(conn, c.attempt.tls), raw: conn}, nil
}

// extendedPort returns the port of a reply to EPSV: "(|||6446|)", with any delimiter.
func extendedPort(text string) (int, error) {
	_, inner, _ := strings.Cut(text, "(")
	if len(inner) > 4 && inner[0] == inner[1] && inner[1] == inner[2] {
		digits, _, _ := strings.Cut(inner[3:], inner[:1])
		if port, err := strconv.ParseUint(digits, 10, 16); err == nil && port != 0 {
			return int(port), nil
		}
	}
	return 0, fmt.Errorf("%w: it replied %.60q to EPSV", errReply, text)
}

// passivePort returns the port of a reply to PASV: the last two of six numbers with commas. RFC 1123 section 4.1.2.6: the
// text around them is the server's own, so they are looked for.
func passivePort(text string) (int, error) {
	isOther := func(r rune) bool { return (r < '0' || r > '9') && r != ',' }
	for _, word := range strings.FieldsFunc(strings.ReplaceAll(text, ", ", ","), isOther) {
		numbers := strings.Split(strings.Trim(word, ","), ",")
		if len(numbers) != 6 {
			continue
		}
		port, ok := 0, true
		for _, digits := range numbers {
			number, err := strconv.ParseUint(digits, 10, 8)
			ok = ok && err == nil
			port = (port<<8 | int(number)) & 0xffff
		}
		if ok && port != 0 {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w: it replied %.60q to PASV", errReply, text)
}

// quit says goodbye without waiting for the reply, and ends the connection.
func (c *ftpClient) quit() {
	// The file is stored, or why not is known already.
	_, _ = io.WriteString(c.conn, "QUIT\r\n")
	c.conn.Close()
}

package rpc

import "context"

// request is one call under way at the server. It is used again after its end.
type request struct {
	Request
	session  *Session
	function *function
	// functions is the table in which function was found.
	functions *map[string]*function
	id        uint32
	// size is what the request counts in the session's limit of queued bytes.
	size  int
	reply result
	// buffer holds Args, unless the message came in a buffer of its own.
	buffer []byte
}

// keep makes the request independent of the buffer it was read into.
func (r *request) keep() {
	if cap(r.buffer) > keptBuffer {
		r.buffer = nil
	}
	r.buffer = append(r.buffer[:0], r.Args...)
	r.Args = r.buffer
}

// written is the outbox's message that the reply, which may be a part of the arguments, has left.
func (r *request) written() { r.session.release(r) }

// missingError is what a function that is not bound returns.
type missingError struct{ method string }

func (e *missingError) Error() string { return "rpc: " + e.method + " is not bound" }

// find looks the function up again if functions were bound or unbound since: a call sees what the calls before it did.
func (r *request) find(method string) {
	functions := r.session.server.functions.Load()
	if r.functions == functions {
		return
	}
	r.functions = functions
	if r.function = (*functions)[method]; r.function == nil {
		r.function = r.session.server.missing
	}
}

func invokeMissing(_ context.Context, request *Request, _ *result) error {
	return &missingError{method: request.Method}
}

// Package program is the main function of a module in three lines:
//
//	func main() { os.Exit(program.Main(os.Args[1:], installation, run)) }
//
//	func run(ctx context.Context, options everest.Options) error { ... }
//
// Main reads the command line of EVerest's manager, or EV_MODULE and its siblings in the environment for a module that
// a person starts. It logs to standard error with the level of EVerest's log configuration, ends run with SIGTERM, and
// installs the program with -install. ParseOptions alone is for programs with a main function of their own.
//
// Where systemd has started the process, as NOTIFY_SOCKET shows, Main reports readiness and status to it and feeds its
// watchdog: see everest.Supervisor. Listener takes over the socket of a socket unit. A module that a manager has started
// inherits the manager's NOTIFY_SOCKET; package everest does not use the supervisor then, since the module would speak for
// the whole of EVerest. The protocol is that of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
package program

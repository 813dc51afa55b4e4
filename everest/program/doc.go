// Package program is the main function of a module:
//
//	func main() { os.Exit(program.Main(os.Args[1:], installation, run)) }
//
//	func run(ctx context.Context, options everest.Options) error {
//		m, err := everest.Connect(ctx, options)
//		if err != nil {
//			return err
//		}
//		m.Provides("main").Handle("ring", ring)
//		return m.Run(ctx)
//	}
//
// The same program is started in four ways:
//
//	by a manager      its command line has the module's id, the broker and the log configuration
//	by a person       EV_MODULE and its siblings in the environment take their place: see [ParseOptions]
//	by systemd        as by a person, and [Main] reports readiness and status, and feeds the watchdog
//	with -install     it copies itself into an EVerest installation: package install, whose options may follow
//
//	Doorbell --module doorbell_1 --prefix /usr --mqtt_broker_host localhost --mqtt_broker_port 1883
//	Doorbell -install /usr
//
// -help prints each flag with its variable ([Flags]), and -version the version. [ParseOptions] alone is for programs
// with a main function of their own.
//
// What [Main] does for run:
//   - Its context ends with SIGTERM or SIGINT. run returns then, and the process ends with 0 for nil and with 1 for an
//     error, which is on standard error.
//   - Its options have a logger to standard error, with the level of EVerest's log configuration.
//   - After the start it returns the memory of the start to the system.
//   - The garbage collector keeps the process small, unless GOGC is set: a board has little memory.
//   - An unknown flag is ignored, since a later manager may have further ones.
//
// systemd has started the process where NOTIFY_SOCKET is set. Main then sets [everest.Options.Supervisor]. Each message
// to a busy systemd waits at most a tenth of a second, that of readiness five, so that systemd cannot stop the module.
// [Listener] takes over the socket of a socket unit, so that a restart refuses no connection. The protocol is that of
// sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
//
// A module that a manager has started inherits the manager's NOTIFY_SOCKET. Package everest does not use the supervisor
// then, since the module would speak for the whole of EVerest.
package program

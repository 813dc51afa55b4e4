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
//	by a person       environment variables such as EV_MODULE replace the flags; see [ParseOptions]
//	by systemd        as by a person; [Main] also reports readiness and status to systemd, and feeds its watchdog
//	with -install     it installs itself with package install; further options may follow, such as -force for a prefix
//	                  without an EVerest
//
//	Doorbell --module doorbell_1 --prefix /usr --mqtt_broker_host localhost --mqtt_broker_port 1883
//	Doorbell -install /usr
//
// -help prints each of the [Flags] with its environment variable. -version prints the version. A program that does not
// use Main calls [ParseOptions] itself.
//
// What [Main] does for run:
//   - The context of run ends on SIGTERM or SIGINT; run must then return. The exit status is 0 if run returns nil, or
//     the error of the ended context. For any other error it is 1, and Main writes the error to standard error.
//   - The options of run have a logger to standard error, with the level of EVerest's log configuration.
//   - Once the module has started, Main returns memory that is no longer used to the operating system.
//   - Main sets GOGC to 50 unless the environment sets it, because boards have little memory.
//   - An unknown flag is ignored with a warning, since a later manager may have further ones.
//
// systemd sets the environment variable NOTIFY_SOCKET of a service that must report its readiness. Main then sets
// [everest.Options.Supervisor]. A busy systemd delays the module by at most 0.1 s for each message, and 5 s for the
// message of readiness. [Listener] takes over the socket of a socket unit, so that a restart refuses no connection. The
// protocol is that of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
//
// A module that a manager has started inherits the manager's NOTIFY_SOCKET. For such a module package everest does not
// use the supervisor. Otherwise systemd would take the module's status for the manager's.
package program

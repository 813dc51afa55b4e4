// Package systemd connects a program to the systemd that started it: it tells how the program fares, feeds the watchdog,
// and takes over sockets that systemd has opened for it. Where systemd has not asked for any of that, by the variables
// NOTIFY_SOCKET, WATCHDOG_USEC and LISTEN_FDS of the environment, nothing happens.
//
// A Notifier is an everest.Supervisor. everest.Program makes one for a module binary, and package everest does not use it
// for a module that an EVerest manager has started: such a one inherits the manager's NOTIFY_SOCKET, and would speak for
// the whole of EVerest.
//
// The protocol is that of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
package systemd

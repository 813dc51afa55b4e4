// Command satkeys makes the identities of boards and says whom a board trusts (package satellite/identity). Two boards that
// are to trust each other need four commands; create prints the fingerprint that the other board's trust takes:
//
//	on the satellite:   satkeys create /etc/everest/identity --serial SAT01
//	on the main board:  satkeys create /etc/everest/identity --serial MAIN01
//	on the satellite:   satkeys trust /etc/everest/identity FINGERPRINT --serial MAIN01
//	on the main board:  satkeys trust /etc/everest/identity FINGERPRINT --serial SAT01
//
// The directory is what the modules' configuration key identity_directory names. A module that runs follows every change.
// doc/security.md has the walk-through, also with an authority for a whole station. The exit statuses:
//
//	0  done
//	1  it could not be done; nothing was changed
//	2  the command line is wrong
//	3  a key would have been overwritten: say --replace if that is meant
//	4  the peer was shown and not confirmed, or show --within: the certificate ends within that time
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Package family finds out which messages the EVerest around a module uses. A message of a wrong family can end the
// manager, so a module must know the family before it publishes anything.
//
// [Decide] is a pure function of [Evidence]. [Looker] reads the evidence that files and processes give, and [Hear] the
// messages that a manager publishes at its start. Both only read.
package family

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// Evidence is what a module knows about its EVerest.
type Evidence struct {
	// Wish is the name of the family that a person has set. It may be empty.
	Wish string
	// ConfigFile is the configuration file on the command line, which only the oldest managers pass.
	ConfigFile string
	// Found lists what the files and processes say, the strongest first.
	Found []Found
	// Heard lists the messages of a manager.
	Heard []Heard
}

// Found is what a file says about its EVerest.
type Found struct {
	// Where names the file.
	Where string
	// Families lists the families that the file belongs to. It is empty when the file says nothing.
	Families []string
	// Hint is true for a file that may be another project's. It counts only when nothing else decides.
	Hint bool
}

// Finding is a decision.
type Finding struct {
	// Release is the row of the family.
	Release wire.Release
	// Because names what decided.
	Because string
}

// ErrNotSpoken means that the EVerest uses messages that no family has.
var ErrNotSpoken = errors.New("this program does not speak the messages of this EVerest")

// Decide returns the family. decided is false when the evidence is not enough. An error means that the module must end:
// the evidence contradicts itself, or it shows messages that no family has.
func Decide(e Evidence) (finding Finding, decided bool, err error) {
	left, because, err := narrow(e)
	if err != nil || len(left) > 1 {
		return Finding{}, false, err
	}
	release, _ := wire.Find(left[0])
	return Finding{Release: release, Because: strings.Join(because, ", ")}, true, nil
}

// Allows returns an error if the evidence excludes the family with that name.
func Allows(e Evidence, name string) error {
	left, because, err := narrow(e)
	if err == nil && !slices.Contains(left, name) {
		err = fmt.Errorf("it is EVerest %s now, as %s shows", releasesOf(left), strings.Join(because, ", "))
	}
	return err
}

// narrow returns the families that the evidence leaves, and what has excluded others. Each piece of evidence leaves
// some families. A piece that would leave none is ignored, because stronger pieces come first. Only a command line and
// a library that contradict each other are an error.
func narrow(e Evidence) (left, because []string, err error) {
	if e.Wish != "" {
		release, known := wire.Find(e.Wish)
		if !known {
			return nil, nil, fmt.Errorf("there is no family %q of EVerest's messages: set one of %s", e.Wish, strings.Join(wire.Names(), ", "))
		}
		return []string{release.Name}, []string{"the option"}, nil
	}
	left = wire.Names()
	leave := func(families []string, where string) bool {
		rest := slices.DeleteFunc(slices.Clone(left), func(name string) bool { return !slices.Contains(families, name) })
		if len(rest) == 0 {
			return false
		}
		if len(rest) < len(left) {
			left, because = rest, append(because, where)
		}
		return true
	}
	if e.ConfigFile != "" {
		leave(FamiliesA(), "the configuration file "+e.ConfigFile+" on the command line")
	}
	for _, found := range e.Found {
		if found.Hint || len(found.Families) == 0 || leave(found.Families, found.Where) {
			continue
		}
		return nil, nil, fmt.Errorf("%s is for EVerest %s, but %s is of EVerest %s: correct the command line",
			because[0], releasesOf(left), found.Where, releasesOf(found.Families))
	}
	families, where, err := ofMessages(e.Heard)
	if err != nil && len(left) == len(wire.Names()) {
		return nil, nil, err
	}
	if len(families) > 0 {
		leave(families, where)
	}
	for _, found := range e.Found {
		if found.Hint && len(found.Families) > 0 && len(left) > 1 {
			leave(found.Families, found.Where)
		}
	}
	return left, because, nil
}

// FamiliesA returns the families whose modules read the configuration from files.
func FamiliesA() []string { return []string{"A1", "A2", "A3"} }

func releasesOf(names []string) string {
	var texts []string
	for _, name := range names {
		release, _ := wire.Find(name)
		texts = append(texts, release.EVerest)
	}
	return strings.Join(texts, ", ")
}

// Package machine has what the pure machines of the aggregator share: memory for their actions, and names of their
// enumerations.
//
// Each machine is a value without clock, goroutine and I/O. Step takes one event and returns the actions to carry out,
// in their order. Events and actions are closed sets of types:
//
//	for _, action := range machine.Step(firmware.Allowed{}) {
//		switch action := action.(type) {
//		case *firmware.Permit: ...
//
// An action with fields is a pointer into memory of the machine, so that a step allocates nothing. Actions are valid
// until the next Step.
package machine

import "fmt"

// Ring is the memory of a machine's latest actions of one type. It holds more than one step has: the longest step, an
// update that ends at once, publishes six statuses. The zero value is ready.
type Ring[T any] struct {
	items [8]T
	next  uint8
}

// Put stores an action in the place of the oldest one, and returns where.
func (r *Ring[T]) Put(action T) *T {
	item := &r.items[r.next%uint8(len(r.items))]
	r.next++
	*item = action
	return item
}

// ParseName returns the value of an enumeration with that name, and whether there is one. Index 0 of names is unused.
func ParseName[T ~uint8](names []string, name string) (T, bool) {
	for i := 1; i < len(names); i++ {
		if names[i] == name {
			return T(i), true
		}
	}
	return 0, false
}

// NameOf returns the name of a value, or its number where it has no name.
func NameOf[T ~uint8](names []string, value T) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprintf("status %d", uint8(value))
}

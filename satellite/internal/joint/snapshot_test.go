package joint

import (
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// The machines belong to other packages, which offer no copy and no name of a state: nobody but an explorer needs one.
// This file makes both by reflection, also of unexported fields.

var (
	timeType = reflect.TypeFor[time.Time]()
	connType = reflect.TypeFor[handshake.ConnID]()
)

// deepCopy returns a value that shares nothing that can be changed. Byte slices are shared: no machine writes into one.
func deepCopy[T any](v T) T {
	out := v
	separate(reflect.ValueOf(&out).Elem())
	return out
}

// separate replaces what v refers to by copies.
func separate(v reflect.Value) {
	if isFlat(v.Type()) {
		return
	}
	v = open(v)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			separate(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			separate(v.Index(i))
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		made := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(made, v)
		v.Set(made)
		for i := range v.Len() {
			separate(v.Index(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		made := reflect.New(v.Type().Elem())
		made.Elem().Set(v.Elem())
		v.Set(made)
		separate(made.Elem())
	case reflect.Map:
		if v.IsNil() {
			return
		}
		made := reflect.MakeMapWithSize(v.Type(), v.Len())
		for entries := v.MapRange(); entries.Next(); {
			made.SetMapIndex(entries.Key(), entries.Value()) // no map of a machine holds pointers
		}
		v.Set(made)
	}
}

// open makes an unexported field accessible.
func open(v reflect.Value) reflect.Value {
	if v.CanSet() || !v.CanAddr() {
		return v
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

var flat sync.Map // of reflect.Type

// isFlat reports whether a copy of the type is independent.
func isFlat(t reflect.Type) bool {
	if known, found := flat.Load(t); found {
		return known.(bool)
	}
	is := true
	switch {
	case t == timeType:
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			is = is && isFlat(t.Field(i).Type)
		}
	case t.Kind() == reflect.Array:
		is = isFlat(t.Elem())
	case t.Kind() == reflect.Slice:
		is = t.Elem().Kind() == reflect.Uint8
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Map:
		is = false
	}
	flat.Store(t, is)
	return is
}

// namer writes the name of a state. Two states with one name behave alike.
type namer struct {
	bytes []byte
	// now is what times are relative to.
	now time.Time
	// conn returns the name of a connection.
	conn func(handshake.ConnID) byte
}

// unnamed are fields that decide nothing but the text of an event or a log, or that follow from others.
var unnamed = map[string]bool{
	"Agent.reason": true, "Agent.config": true, "Agent.draining": true, "Controller.reason": true, "Controller.config": true,
	"Machine.config": true, "Machine.actions": true, "Machine.heard": true, "Machine.meter": true, "Machine.deadline": true, "Machine.kept": true,
	"session.connector": true, "session.tag": true, "session.began": true, "command.arguments": true,
	"Outbox.last": true, "Outbox.links": true, "item.id": true, "Command.Interface": true, "Command.Name": true, "Command.Size": true,
	"ledgerEntry.size": true, "Ledger.bytes": true,
}

// named are the fields of a type that name a state.
func named(t reflect.Type) []int {
	if known, found := namedFields.Load(t); found {
		return known.([]int)
	}
	typeName, _, _ := strings.Cut(t.Name(), "[")
	var fields []int
	for i := range t.NumField() {
		if !unnamed[typeName+"."+t.Field(i).Name] {
			fields = append(fields, i)
		}
	}
	namedFields.Store(t, fields)
	return fields
}

var namedFields sync.Map // of reflect.Type

func (n *namer) number(v uint64) { n.bytes = binary.AppendUvarint(n.bytes, v) }

func (n *namer) flags(flags ...bool) {
	var v byte
	for i, f := range flags {
		if f {
			v |= 1 << i
		}
	}
	n.bytes = append(n.bytes, v)
}

// add names a value by all that is in it.
func (n *namer) add(v reflect.Value) {
	switch {
	case v.Type() == timeType:
		at := *(*time.Time)(unsafe.Pointer(v.UnsafeAddr()))
		if at.IsZero() {
			n.number(0)
		} else {
			n.bytes = binary.AppendVarint(n.bytes, int64(at.Sub(n.now)))
		}
		return
	case v.Type() == connType:
		n.bytes = append(n.bytes, n.conn(handshake.ConnID(v.Uint())))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		n.flags(v.Bool())
	case reflect.Int, reflect.Int64, reflect.Int8, reflect.Int32:
		n.bytes = binary.AppendVarint(n.bytes, v.Int())
	case reflect.Uint8, reflect.Uint64, reflect.Uint16, reflect.Uint32:
		n.number(v.Uint())
	case reflect.String:
		n.number(uint64(v.Len()))
		n.bytes = append(n.bytes, v.String()...)
	case reflect.Struct:
		for _, i := range named(v.Type()) {
			if field := v.Field(i); v.Type().Field(i).Name == "link" {
				n.flags(field.Uint() != 0) // of an outbox: whether there is one
			} else {
				n.add(field)
			}
		}
	case reflect.Slice:
		n.number(uint64(v.Len()))
		for i := range v.Len() {
			n.add(v.Index(i))
		}
	case reflect.Pointer:
		n.flags(v.IsNil())
		if !v.IsNil() {
			n.add(v.Elem())
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return int(a.Uint()) - int(b.Uint()) })
		n.number(uint64(len(keys)))
		for _, key := range keys {
			n.number(key.Uint())
			n.add(v.MapIndex(key))
		}
	}
}

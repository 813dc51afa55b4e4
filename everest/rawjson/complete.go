package rawjson

import "encoding/json"

// Complete returns the object with all members of defaults. It adds absent members, and replaces null by the default
// value. It calls replace with each other member of the object. A value that replace returns replaces the member's
// value. All other bytes stay as they are.
func Complete(object json.RawMessage, defaults []Member, replace func(Member) json.RawMessage) (json.RawMessage, error) {
	var out []byte // starts after the opening brace
	copied := skipSpace(object, 0) + 1
	absent := make(map[string]json.RawMessage, len(defaults))
	for _, member := range defaults {
		absent[member.Name] = member.Value
	}
	r := NewReader(object)
	count := 0
	for r.Object(); ; count++ {
		name, ok := r.Next()
		if !ok {
			break
		}
		member := Member{string(name), r.Value()}
		substitute := replace(member)
		if fallback, known := absent[member.Name]; known && IsNull(member.Value) {
			substitute = fallback
		}
		delete(absent, member.Name)
		if substitute != nil {
			out = append(out, object[copied:r.at-len(member.Value)]...)
			out = append(out, substitute...)
			copied = r.at
		}
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	if len(absent) == 0 && out == nil {
		return object, nil
	}
	out = append(out, object[copied:]...)
	completed := []byte{'{'}
	for _, member := range defaults {
		if value, missing := absent[member.Name]; missing {
			completed = AppendString(completed, member.Name)
			completed = append(completed, ':')
			completed = append(completed, value...)
			completed = append(completed, ',')
		}
	}
	if count == 0 && len(completed) > 1 {
		completed = completed[:len(completed)-1]
	}
	return append(completed, out...), nil
}

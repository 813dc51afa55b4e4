package everest

// fifo is a growing ring. It gives its memory back when it runs empty after having been large.
type fifo[T any] struct {
	ring  []T
	head  int
	count int
}

const fifoKeep = 64

func (f *fifo[T]) len() int { return f.count }

func (f *fifo[T]) push(value T) {
	if f.count == len(f.ring) {
		grown := make([]T, max(4, 2*len(f.ring)))
		n := copy(grown, f.ring[f.head:])
		copy(grown[n:], f.ring[:f.head])
		f.ring, f.head = grown, 0
	}
	f.ring[(f.head+f.count)%len(f.ring)] = value
	f.count++
}

func (f *fifo[T]) front() (value T, ok bool) {
	if f.count == 0 {
		return value, false
	}
	return f.ring[f.head], true
}

func (f *fifo[T]) pop() (value T, ok bool) {
	if f.count == 0 {
		return value, false
	}
	var none T
	value, f.ring[f.head] = f.ring[f.head], none
	f.head = (f.head + 1) % len(f.ring)
	f.count--
	if f.count == 0 && len(f.ring) > fifoKeep {
		f.ring, f.head = nil, 0
	}
	return value, true
}

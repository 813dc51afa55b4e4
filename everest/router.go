package everest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// router finds the subscriptions of a topic, and records the filters that must be subscribed at the broker.
type router struct {
	wire    wire.FamilyC
	self    string // the module's id
	results string // suffix of the topics of replies to this module

	mu       sync.RWMutex
	exact    map[string][]*subscription
	errors   map[string][]*subscription // by the start of the implementation's topics
	global   []*subscription            // errors of all modules
	manifest *subscription
	reply    *subscription
	external []externalRoute

	filters []filter
	pending []filter
}

type externalRoute struct {
	filter       string
	subscription *subscription
}

type filter struct {
	text     string
	delivery Delivery
}

func newRouter(w wire.FamilyC, self string) *router {
	return &router{
		wire:    w,
		self:    self,
		results: wire.ResultSuffix(self),
		exact:   map[string][]*subscription{},
		errors:  map[string][]*subscription{},
	}
}

// want records a filter to subscribe at the broker.
func (r *router) want(text string, delivery Delivery) {
	wanted := filter{text, delivery}
	if !slices.Contains(r.filters, wanted) {
		r.filters = append(r.filters, wanted)
		r.pending = append(r.pending, wanted)
	}
}

func (r *router) addExact(topic string, s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exact[topic] = append(r.exact[topic], s)
	r.want(topic, ExactlyOnce)
}

func (r *router) addErrors(implementation string, s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors[implementation] = append(r.errors[implementation], s)
	r.want(r.wire.ErrorFilter(implementation), ExactlyOnce)
}

// addGlobalErrors leaves the filters to wantGlobalErrors, because they depend on the start-up data.
func (r *router) addGlobalErrors(s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.global = append(r.global, s)
}

func (r *router) wantGlobalErrors(implementations []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, implementation := range implementations {
		r.want(r.wire.ErrorFilter(implementation), ExactlyOnce)
	}
}

func (r *router) hasGlobalErrors() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.global) > 0
}

func (r *router) addExternal(text string, s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.external = append(r.external, externalRoute{text, s})
	r.want(text, AtMostOnce)
}

// addReplies subscribes the replies of all commands of one implementation at once.
func (r *router) addReplies(implementation string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want(r.wire.ResultFilter(implementation, r.self), ExactlyOnce)
}

func (r *router) setReplies(s *subscription) { r.reply = s }

func (r *router) setManifests(s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifest = s
	r.want(r.wire.ManifestTopic("+"), ExactlyOnce)
}

// takePending returns the filters that were added since the last call.
func (r *router) takePending() []filter {
	r.mu.Lock()
	defer r.mu.Unlock()
	pending := r.pending
	r.pending = nil
	return pending
}

// wantAllAgain makes every filter pending, for a new connection.
func (r *router) wantAllAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = slices.Clone(r.filters)
}

// receive adds a message to the queues of its subscriptions, and reports whether there are any. It is called for one
// message at a time and runs no handler.
func (r *router) receive(ctx context.Context, message Message) bool {
	var found [4]*subscription
	subscriptions := r.find(found[:0], message.Topic)
	for _, s := range subscriptions {
		s.queue.push(ctx, s, message)
	}
	return len(subscriptions) > 0
}

func (r *router) find(found []*subscription, topic string) []*subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if exact := r.exact[topic]; len(exact) > 0 {
		return append(found, exact...)
	}
	if strings.HasPrefix(topic, r.wire.Prefix) {
		switch implementation, kind := r.wire.Split(topic); {
		case kind == "error":
			found = append(found, r.errors[implementation]...)
			found = append(found, r.global...)
		case kind == "cmd" && strings.HasSuffix(topic, r.results):
			found = append(found, r.reply)
		case r.manifest != nil:
			if _, ok := r.wire.ManifestName(topic); ok {
				found = append(found, r.manifest)
			}
		}
		return found // a topic below the prefix is never external
	}
	for _, route := range r.external {
		if wire.Matches(route.filter, topic) {
			found = append(found, route.subscription)
		}
	}
	return found
}

// withReset returns the subscriptions that keep data about other modules.
func (r *router) withReset() []*subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*subscription
	for _, subscriptions := range r.errors {
		found = append(found, subscriptions...)
	}
	found = append(found, r.global...)
	return slices.DeleteFunc(found, func(s *subscription) bool { return s.reset == nil })
}

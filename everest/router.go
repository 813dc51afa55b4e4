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
	wire    wire.Family
	prefix  string // of all topics of the framework
	self    string // the module's id
	results string // suffix of the keys of replies to this module

	mu       sync.RWMutex
	exact    map[string][]*subscription // by the key of the message
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

func newRouter(w wire.Family, prefix, self string) *router {
	return &router{
		wire:    w,
		prefix:  prefix,
		self:    self,
		results: w.ResultSuffix(self),
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

// addTopic adds a subscription of all messages of a topic.
func (r *router) addTopic(topic string, s *subscription) { r.addKey(topic, topic, s) }

// addKey adds a subscription of the messages with a key, which arrive on the topic.
func (r *router) addKey(key, topic string, s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exact[key] = append(r.exact[key], s)
	r.want(topic, ExactlyOnce)
}

func (r *router) addErrors(implementation string, s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors[implementation] = append(r.errors[implementation], s)
	r.wantErrors(implementation)
}

func (r *router) wantErrors(implementation string) {
	for _, filter := range r.wire.ErrorFilters(implementation) {
		r.want(filter, ExactlyOnce)
	}
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
		r.wantErrors(implementation)
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
	r.want(r.wire.ManifestFilter(), ExactlyOnce)
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
// message at a time and runs no handler. An error means that the message cannot be read.
func (r *router) receive(ctx context.Context, message Message) (wanted bool, err error) {
	var found [4]*subscription
	subscriptions, err := r.find(found[:0], message)
	for _, s := range subscriptions {
		s.queue.push(ctx, s, message)
	}
	return len(subscriptions) > 0, err
}

func (r *router) find(found []*subscription, message Message) ([]*subscription, error) {
	topic := message.Topic
	r.mu.RLock()
	defer r.mu.RUnlock()
	if strings.HasPrefix(topic, r.prefix) {
		key, err := r.wire.Key(topic, message.Payload)
		if err != nil {
			return nil, err
		}
		if exact := r.exact[key]; len(exact) > 0 {
			return append(found, exact...), nil
		}
		switch implementation, kind := r.wire.Split(key); {
		case kind == "error":
			found = append(found, r.errors[implementation]...)
			found = append(found, r.global...)
		case kind == "cmd" && strings.HasSuffix(key, r.results):
			found = append(found, r.reply)
		case r.manifest != nil:
			if _, ok := r.wire.Manifests(topic, nil); ok {
				found = append(found, r.manifest)
			}
		}
		return found, nil // a topic below the prefix is never external
	}
	for _, route := range r.external {
		if wire.Matches(route.filter, topic) {
			found = append(found, route.subscription)
		}
	}
	return found, nil
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

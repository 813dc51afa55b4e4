package strict

import (
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

const (
	available = "Available"
	noError   = "NoError"
)

// ocppConnector is the state of a connector at the backend: the status of its session and the active errors by uuid.
type ocppConnector struct {
	id          int
	status      string
	transaction int
	errors      []ocppError // the oldest first
	send        func(action string, payload map[string]any)
}

// ocppError is an error as a StatusNotification has it.
type ocppError struct {
	uuid string
	ocppframes.ErrorInfo
}

// asOCPP returns what OCPP makes of an error.
func asOCPP(reported errorObject) ocppError {
	return ocppError{reported.UUID, ocppframes.ErrorInfoOf(everest.Error{
		Type: reported.Type, SubType: reported.SubType, Message: reported.Message, Description: reported.Description, VendorID: reported.VendorID,
		Origin: everest.Origin{ModuleID: reported.Origin.Module, ImplementationID: reported.Origin.Implementation},
	})}
}

func (c *ocppConnector) raise(reported errorObject) {
	for _, active := range c.errors {
		if active.uuid == reported.UUID {
			return
		}
	}
	raised := asOCPP(reported)
	c.errors = append(c.errors, raised)
	c.notify(raised)
}

func (c *ocppConnector) clear(uuid string) {
	for i, active := range c.errors {
		if active.uuid != uuid {
			continue
		}
		c.errors = append(c.errors[:i:i], c.errors[i+1:]...)
		if !c.faulted() {
			c.report()
		}
		return
	}
}

func (c *ocppConnector) faulted() bool {
	for _, active := range c.errors {
		if active.Fault {
			return true
		}
	}
	return false
}

func (c *ocppConnector) move(status string) {
	if c.status == status {
		return
	}
	c.status = status
	if !c.faulted() {
		// The info of a change of the status is that of the session event, which has none here.
		newest := c.newest()
		newest.Info = ""
		c.notify(newest)
	}
}

// report sends the status with the newest error.
func (c *ocppConnector) report() { c.notify(c.newest()) }

func (c *ocppConnector) newest() ocppError {
	if len(c.errors) > 0 {
		return c.errors[len(c.errors)-1]
	}
	return ocppError{ErrorInfo: ocppframes.ErrorInfo{Code: noError}}
}

func (c *ocppConnector) notify(reason ocppError) {
	status := c.status
	if c.faulted() {
		status = "Faulted"
	}
	payload := reason.Payload(c.id, status)
	payload["timestamp"] = timestamp()
	c.send("StatusNotification", payload)
}

package satellite

import (
	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/satellite/internal/crossing"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// newTranslator returns the translator of the satellite's identifiers, from the configuration.
func (c *Controller) newTranslator() (*crossing.Translator, error) {
	place := crossing.Place{
		Module: c.module.ID(), Mapping: c.module.MappingOf(route.Satellite), Reader: c.module.MappingOf(route.RFID),
		Report: func(text string) {
			if c.table.First(text) {
				c.log.Warn("an identifier of the satellite cannot be translated", zap.String("reason", text))
			}
		},
	}
	if mapping := c.module.MappingOf(route.EVSEManager); mapping != nil {
		place.EVSE = mapping.EVSE
	}
	translates, err := translatesOf(c.parameters.Identities)
	if err != nil {
		return nil, err
	}
	if !translates {
		return crossing.Verbatim(place), nil
	}
	return crossing.New(place), nil
}

// logIdentities logs at the start what happens to the satellite's identifiers, and what is missing for it.
func (c *Controller) logIdentities() {
	mapping := c.module.MappingOf(route.EVSEManager)
	switch {
	case !c.translator.Translates():
		c.log.Warn("identifiers of the satellite stay as they are, and must be unique in the whole station: set identities to translate")
	case mapping == nil:
		c.log.Warn("the EVSE of this module is not known, and the satellite's number of it may be another one here: give the module a mapping such as {module: {evse: 2}}")
	default:
		c.log.Info("identifiers of the satellite become those of this module", zap.Int("evse", mapping.EVSE))
	}
}

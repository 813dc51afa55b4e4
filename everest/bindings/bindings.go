// Package bindings has generated, typed bindings of the EVerest interfaces that this project's modules touch, in the release
// of package everest/definitions. Each interface is a package of its own below this one, their types are in package types.
// For other interfaces, or another release, run everestgen on that release's own files.
package bindings

//go:generate go run ../everestgen -facts ../definitions -out . auth auth_token_provider dc_external_derate display_message energy evse_manager iso15118_extensions ocpp_data_transfer system uk_random_delay

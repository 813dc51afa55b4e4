package release_test

import (
	"testing"
	"testing/fstest"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/release"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// definitionsOf returns the interface system with these results of commands, and the types of these files.
func definitionsOf(t *testing.T, system string, types map[string]string) *schema.Definitions {
	t.Helper()
	files := fstest.MapFS{"interfaces/system.yaml": {Data: []byte("description: system\n" + system)}}
	for name, content := range types {
		files["types/"+name+".yaml"] = &fstest.MapFile{Data: []byte("description: types\ntypes:\n" + content)}
	}
	definitions, err := schema.LoadInterfaces(files, "system")
	if err != nil {
		t.Fatal(err)
	}
	return definitions
}

const oldCommands = `cmds:
  update_firmware:
    description: updates
    result: {description: answer, type: string, $ref: /system#/UpdateFirmwareResponse}
  upload_logs:
    description: uploads
    result: {description: answer, type: string, $ref: /system#/UploadLogsStatus}
vars:
  log_status: {description: status, type: string, $ref: /system#/LogStatusEnum}
`

func TestWordsOfTheReleases(t *testing.T) {
	t.Parallel()
	old := definitionsOf(t, oldCommands, map[string]string{"system": `
  UpdateFirmwareResponse: {description: answers, type: string, enum: [Accepted, Rejected, AcceptedCancelled]}
  UploadLogsStatus: {description: answers, type: string, enum: [Accepted, Rejected, AcceptedCancelled]}
  LogStatusEnum: {description: statuses, type: string, enum: [Idle, Uploaded, UploadFailure, Uploading]}
`})
	builtIn, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		definitions              *schema.Definitions
		firmware, upload, ofALog string
	}{
		"up to 2024.7":       {old, "AcceptedCancelled", "AcceptedCancelled", "UploadFailure"},
		"2026.02.0":          {builtIn, "AcceptedCanceled", "AcceptedCanceled", "AcceptedCanceled"},
		"without definition": {nil, "AcceptedCanceled", "AcceptedCanceled", "AcceptedCanceled"},
	} {
		words := release.NewWords(test.definitions)
		for enumeration, want := range map[string]string{
			release.UpdateFirmwareResponse: test.firmware, release.UploadLogsStatus: test.upload, release.LogStatusEnum: test.ofALog,
		} {
			if got := words.Spell(enumeration, "AcceptedCanceled"); got != want {
				t.Errorf("%s, %s: %s, want %s", name, enumeration, got, want)
			}
			if got := words.Spell(enumeration, "Rejected"); got != "Rejected" {
				t.Errorf("%s, %s: Rejected becomes %s", name, enumeration, got)
			}
		}
	}
	for word, want := range map[string]string{"AcceptedCancelled": "AcceptedCanceled", "AcceptedCanceled": "AcceptedCanceled", "": ""} {
		if got := release.Read(word); got != want {
			t.Errorf("%q is read as %q", word, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	definitions := definitionsOf(t, `cmds:
  no_result: {description: is done}
  asks: {description: asks, result: {description: whether, type: boolean}}
  counts: {description: counts, result: {description: how many, type: integer}}
  configure_network: {description: configures, result: {description: answer, type: object, $ref: /network#/ConfigureNetworkResponse}}
  nested: {description: configures, result: {description: answer, type: object, required: [inner, yes], properties: {inner: {type: object, $ref: /network#/ConfigureNetworkResponse}, yes: {type: boolean}}}}
  cannot: {description: counts, result: {description: answer, type: object, $ref: /network#/Count}}
  circle: {description: turns, result: {description: answer, type: object, $ref: /network#/Circle}}
  lists: {description: lists, result: {description: answer, type: array, items: {type: string, $ref: /network#/ConfigureNetworkStatusEnum}}}
  rejects: {description: rejects, result: {description: answer, type: string, enum: [Accepted, Rejected]}}
  only_yes: {description: agrees, result: {description: answer, type: string, enum: [Accepted]}}
`, map[string]string{"network": `
  ConfigureNetworkStatusEnum: {description: statuses, type: string, enum: [Ready, Processing, Failed, Rejected, NotSupported]}
  ConfigureNetworkResponse:
    description: answer
    type: object
    required: [status]
    properties:
      status: {description: status, type: string, $ref: /network#/ConfigureNetworkStatusEnum}
      interface_address: {description: address, type: string}
  Count: {description: count, type: object, required: [count], properties: {count: {description: count, type: integer}}}
  Circle: {description: circle, type: object, required: [next], properties: {next: {description: next, type: object, $ref: /network#/Circle}}}
`})
	system, _ := definitions.Interface("system")
	for command, want := range map[string]string{
		"no_result": "null", "asks": "false", "configure_network": `{"status":"NotSupported"}`,
		"nested": `{"inner":{"status":"NotSupported"},"yes":false}`, "rejects": `"Rejected"`,
		"counts": "", "cannot": "", "circle": "", "lists": "", "only_yes": "",
	} {
		got, can := release.Refusal(definitions, system.Commands[command])
		if string(got) != want || can != (want != "") {
			t.Errorf("%s: %s, %t, want %s", command, got, can, want)
		}
		if can && definitions.CheckResult("system", command, got) != nil {
			t.Errorf("%s: %s is not what the definition allows", command, got)
		}
	}
}

// Command module is a whole EVerest module to copy and change. It has a parameter, handles a command, calls another
// module, publishes a variable and raises an error. module_test.go tests it without EVerest.
//
//	go build -o EchoModule ./examples/module
//	./EchoModule -install PREFIX
//
// installs the program, its manifest and its interface into the EVerest below PREFIX. EVerest's manager then starts the
// program for each module of its configuration that has "module: EchoModule".
//
// To make it yours: change manifest.yaml and interfaces/, run go generate, and implement the generated Provider in
// module.go.
package main

import (
	_ "embed"
	"os"

	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/program"
)

//go:generate go run github.com/remotechargeport/remotechargeport/everest/everestgen -interfaces interfaces -out .

var (
	//go:embed manifest.yaml
	manifest []byte
	//go:embed interfaces/echo.yaml
	echoInterface []byte
)

func main() { os.Exit(program.Main(os.Args[1:], installation(), run)) }

func installation() install.Installation {
	return install.Installation{Module: "EchoModule", Manifest: manifest, Interfaces: map[string][]byte{"echo": echoInterface}}
}

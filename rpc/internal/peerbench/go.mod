module github.com/remotechargeport/remotechargeport/rpc/internal/peerbench

go 1.26.0

require (
	github.com/neovim/go-client v1.2.1
	github.com/remotechargeport/remotechargeport v0.0.0
	github.com/ugorji/go/codec v1.3.2
	google.golang.org/grpc v1.85.0
)

require (
	go.uber.org/multierr v1.10.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/remotechargeport/remotechargeport => ../../..

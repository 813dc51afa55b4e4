package main

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
)

// textCodec sends a text as it is: grpc is faster without protobuf.
type textCodec struct{}

func (textCodec) Name() string { return "text" }

func (textCodec) Marshal(v any) ([]byte, error) { return []byte(*v.(*string)), nil }

func (textCodec) Unmarshal(data []byte, v any) error {
	*v.(*string) = string(data)
	return nil
}

var _ encoding.Codec = textCodec{}

const largestText = 64 << 20

func serveGRPC(listener net.Listener) error {
	server := grpc.NewServer(grpc.ForceServerCodec(textCodec{}), grpc.MaxRecvMsgSize(largestText), grpc.MaxSendMsgSize(largestText))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "Echo",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Echo",
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				var text string
				err := decode(&text)
				return &text, err
			},
		}},
	}, struct{}{})
	return server.Serve(listener)
}

func dialGRPC(addr string) (func(string) (int, error), error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(textCodec{}), grpc.MaxCallRecvMsgSize(largestText), grpc.MaxCallSendMsgSize(largestText)))
	if err != nil {
		return nil, fmt.Errorf("grpc: %w", err)
	}
	return func(text string) (int, error) {
		var reply string
		err := conn.Invoke(context.Background(), "/Echo/Echo", &text, &reply)
		return len(reply), err
	}, nil
}

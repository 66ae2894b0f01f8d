package qdrantserver

import (
	"context"
	"maps"
	"slices"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/proto"
)

// collectionsService is the part of the API about whole collections.
type collectionsService struct {
	pb.UnimplementedCollectionsServer
	server *Server
}

func (c collectionsService) Create(_ context.Context, r *pb.CreateCollection) (*pb.CollectionOperationResponse, error) {
	return c.operate(r)
}

func (c collectionsService) UpdateAliases(_ context.Context, r *pb.ChangeAliases) (*pb.CollectionOperationResponse, error) {
	return c.operate(r)
}

func (c collectionsService) Delete(_ context.Context, r *pb.DeleteCollection) (*pb.CollectionOperationResponse, error) {
	began := time.Now()
	_, missing := c.server.collection(r.GetCollectionName())
	if err := c.server.mutate(r); err != nil {
		return nil, err
	}
	return &pb.CollectionOperationResponse{Result: missing == nil, Time: time.Since(began).Seconds()}, nil
}

func (c collectionsService) operate(request proto.Message) (*pb.CollectionOperationResponse, error) {
	began := time.Now()
	if err := c.server.mutate(request); err != nil {
		return nil, err
	}
	return &pb.CollectionOperationResponse{Result: true, Time: time.Since(began).Seconds()}, nil
}

func (c collectionsService) Get(_ context.Context, r *pb.GetCollectionInfoRequest) (*pb.GetCollectionInfoResponse, error) {
	began := time.Now()
	collection, err := c.server.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	collection.mu.RLock()
	defer collection.mu.RUnlock()
	return &pb.GetCollectionInfoResponse{Result: collection.info(), Time: time.Since(began).Seconds()}, nil
}

func (c collectionsService) CollectionExists(
	_ context.Context, r *pb.CollectionExistsRequest,
) (*pb.CollectionExistsResponse, error) {
	_, err := c.server.collection(r.GetCollectionName())
	return &pb.CollectionExistsResponse{Result: &pb.CollectionExists{Exists: err == nil}}, nil
}

func (c collectionsService) List(context.Context, *pb.ListCollectionsRequest) (*pb.ListCollectionsResponse, error) {
	c.server.mu.RLock()
	defer c.server.mu.RUnlock()
	response := new(pb.ListCollectionsResponse)
	for _, name := range slices.Sorted(maps.Keys(c.server.collections)) {
		response.Collections = append(response.Collections, &pb.CollectionDescription{Name: name})
	}
	return response, nil
}

func (c collectionsService) ListAliases(context.Context, *pb.ListAliasesRequest) (*pb.ListAliasesResponse, error) {
	return c.aliases(func(string) bool { return true }), nil
}

func (c collectionsService) ListCollectionAliases(
	_ context.Context, r *pb.ListCollectionAliasesRequest,
) (*pb.ListAliasesResponse, error) {
	return c.aliases(func(target string) bool { return target == r.GetCollectionName() }), nil
}

func (c collectionsService) aliases(of func(target string) bool) *pb.ListAliasesResponse {
	c.server.mu.RLock()
	defer c.server.mu.RUnlock()
	response := new(pb.ListAliasesResponse)
	for _, alias := range slices.Sorted(maps.Keys(c.server.aliases)) {
		if target := c.server.aliases[alias]; of(target) {
			response.Aliases = append(response.Aliases, &pb.AliasDescription{AliasName: alias, CollectionName: target})
		}
	}
	return response
}

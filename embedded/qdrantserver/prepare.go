package qdrantserver

import (
	"fmt"
	"maps"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// prepare checks a mutating request and returns what applies it. It must be
// called with the writer lock held, as must what it returns.
func (s *Server) prepare(message proto.Message) (apply func(), err error) {
	switch request := message.(type) {
	case *pb.CreateCollection:
		return s.prepareCreate(request)
	case *pb.DeleteCollection:
		return func() { s.drop(request.GetCollectionName()) }, nil
	case *pb.ChangeAliases:
		return s.prepareAliases(request.GetActions())
	case *pb.CreateFieldIndexCollection:
		return s.onCollection(request.GetCollectionName(), func(c *collection) { c.addField(request) })
	case *pb.DeleteFieldIndexCollection:
		return s.onCollection(request.GetCollectionName(), func(c *collection) {
			delete(c.fields, request.GetFieldName())
		})
	case *pb.UpdateBatchPoints:
		return s.preparePoints(request)
	default:
		return nil, fmt.Errorf("%T does not change anything", request)
	}
}

func (s *Server) preparePoints(request *pb.UpdateBatchPoints) (func(), error) {
	c, err := s.collection(request.GetCollectionName())
	if err != nil {
		return nil, err
	}
	change, err := c.mutations(request.GetOperations())
	if err != nil {
		return nil, err
	}
	return s.onCollection(request.GetCollectionName(), change)
}

func (s *Server) onCollection(name string, change mutation) (func(), error) {
	c, err := s.collection(name)
	if err != nil {
		return nil, err
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		change(c)
	}, nil
}

// collection finds a collection by its name or an alias.
func (s *Server) collection(name string) (*collection, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if target, ok := s.aliases[name]; ok {
		name = target
	}
	if c := s.collections[name]; c != nil {
		return c, nil
	}
	return nil, noCollection(name)
}

func (s *Server) prepareCreate(request *pb.CreateCollection) (func(), error) {
	name := request.GetCollectionName()
	if name == "" {
		return nil, invalid("collection without a name")
	}
	if s.collections[name] != nil || s.aliases[name] != "" {
		return nil, status.Errorf(codes.AlreadyExists, "Wrong input: Collection `%s` already exists!", name)
	}
	c, err := newCollection(request)
	if err != nil {
		return nil, err
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.collections[name] = c
	}, nil
}

func (s *Server) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.collections, name)
	maps.DeleteFunc(s.aliases, func(_, target string) bool { return target == name })
}

// prepareAliases checks the actions on a copy, so that all happen or none.
func (s *Server) prepareAliases(actions []*pb.AliasOperations) (func(), error) {
	aliases := maps.Clone(s.aliases)
	for _, action := range actions {
		switch one := action.GetAction().(type) {
		case *pb.AliasOperations_CreateAlias:
			if s.collections[one.CreateAlias.GetCollectionName()] == nil {
				return nil, noCollection(one.CreateAlias.GetCollectionName())
			}
			if s.collections[one.CreateAlias.GetAliasName()] != nil {
				return nil, invalid("a collection is named %s", one.CreateAlias.GetAliasName())
			}
			aliases[one.CreateAlias.GetAliasName()] = one.CreateAlias.GetCollectionName()
		case *pb.AliasOperations_RenameAlias:
			target, ok := aliases[one.RenameAlias.GetOldAliasName()]
			if !ok {
				return nil, noAlias(one.RenameAlias.GetOldAliasName())
			}
			delete(aliases, one.RenameAlias.GetOldAliasName())
			aliases[one.RenameAlias.GetNewAliasName()] = target
		case *pb.AliasOperations_DeleteAlias:
			delete(aliases, one.DeleteAlias.GetAliasName())
		default:
			return nil, unsupported("alias action %T", one)
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.aliases = aliases
	}, nil
}

package runtime

import (
	"context"
	"path/filepath"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ImageFsInfo tells what images and writable layers take and which file systems they are on.
func (s *Server) ImageFsInfo(ctx context.Context, _ *api.ImageFsInfoRequest) (*api.ImageFsInfoResponse, error) {
	u, err := s.cfg.Images.Usage(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var bytes, inodes uint64
	for _, c := range s.containers.All() {
		if size, err := s.layers.get(c.ID, filepath.Join(s.layerDir(c), "upper"), now); err == nil {
			bytes, inodes = bytes+size.bytes, inodes+size.inodes
		}
	}
	usage := func(dir string, bytes, inodes uint64) []*api.FilesystemUsage {
		return []*api.FilesystemUsage{{Timestamp: now.UnixNano(), FsId: &api.FilesystemIdentifier{Mountpoint: dir}, UsedBytes: number(bytes), InodesUsed: number(inodes)}}
	}
	return &api.ImageFsInfoResponse{
		ImageFilesystems:     usage(s.cfg.Root, u.Bytes, u.Inodes),
		ContainerFilesystems: usage(s.cfg.Root, bytes, inodes),
	}, nil
}

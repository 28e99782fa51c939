package volume

import corev1 "k8s.io/api/core/v1"

// Type is the name of the field of the volume's source that is set.
func Type(v *corev1.Volume) string {
	for _, t := range []struct {
		name string
		set  bool
	}{
		{"emptyDir", v.EmptyDir != nil}, {"hostPath", v.HostPath != nil}, {"configMap", v.ConfigMap != nil},
		{"secret", v.Secret != nil}, {"downwardAPI", v.DownwardAPI != nil}, {"projected", v.Projected != nil},
		{"image", v.Image != nil}, {"persistentVolumeClaim", v.PersistentVolumeClaim != nil}, {"csi", v.CSI != nil},
		{"ephemeral", v.Ephemeral != nil}, {"nfs", v.NFS != nil}, {"iscsi", v.ISCSI != nil}, {"fc", v.FC != nil},
		{"gitRepo", v.GitRepo != nil}, {"rbd", v.RBD != nil}, {"cephfs", v.CephFS != nil}, {"glusterfs", v.Glusterfs != nil},
		{"flexVolume", v.FlexVolume != nil}, {"azureFile", v.AzureFile != nil}, {"azureDisk", v.AzureDisk != nil},
		{"gcePersistentDisk", v.GCEPersistentDisk != nil}, {"awsElasticBlockStore", v.AWSElasticBlockStore != nil},
		{"cinder", v.Cinder != nil}, {"vsphereVolume", v.VsphereVolume != nil}, {"photonPersistentDisk", v.PhotonPersistentDisk != nil},
		{"portworxVolume", v.PortworxVolume != nil}, {"quobyte", v.Quobyte != nil}, {"scaleIO", v.ScaleIO != nil},
		{"storageos", v.StorageOS != nil}, {"flocker", v.Flocker != nil},
	} {
		if t.set {
			return t.name
		}
	}
	return "unknown"
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// storageClass is the cluster's default one, in cluster.yaml.
const storageClass = "local"

// AddVolumes makes volumes for claims of the default StorageClass. Each is a folder of this machine: the kubelet gives it
// to the pod's fsGroup, and what is in it stays as long as the claim does. A volume whose claim is deleted is not used
// again, as policy Retain has it.
func (n *Node) AddVolumes(ctx context.Context, count int) error {
	for range count {
		n.volumes++
		name := "volume-" + strconv.Itoa(n.volumes)
		path := filepath.Join(n.run, "volumes", name)
		if err := os.MkdirAll(path, 0o750); err != nil {
			return err
		}
		if _, err := n.Client.CoreV1().PersistentVolumes().Create(ctx, volume(name, path), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making the volume %s: %w", name, err)
		}
	}
	return nil
}

func volume(name, path string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			// Nothing is reserved: any claim fits.
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Ti")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              storageClass,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{Name}},
				}}},
			}},
		},
	}
}

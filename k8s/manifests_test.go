// Package k8s_test reads the manifests of this folder as Kubernetes would.
package k8s_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
)

// newObject gives the type that a manifest is decoded into.
var newObject = map[metav1.TypeMeta]func() metav1.Object{
	{APIVersion: "v1", Kind: "Namespace"}:                                  func() metav1.Object { return &corev1.Namespace{} },
	{APIVersion: "v1", Kind: "ServiceAccount"}:                             func() metav1.Object { return &corev1.ServiceAccount{} },
	{APIVersion: "v1", Kind: "Service"}:                                    func() metav1.Object { return &corev1.Service{} },
	{APIVersion: "v1", Kind: "ConfigMap"}:                                  func() metav1.Object { return &corev1.ConfigMap{} },
	{APIVersion: "v1", Kind: "Secret"}:                                     func() metav1.Object { return &corev1.Secret{} },
	{APIVersion: "apps/v1", Kind: "Deployment"}:                            func() metav1.Object { return &appsv1.Deployment{} },
	{APIVersion: "apps/v1", Kind: "StatefulSet"}:                           func() metav1.Object { return &appsv1.StatefulSet{} },
	{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}:                 func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
	{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}:            func() metav1.Object { return &networkingv1.NetworkPolicy{} },
	{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization"}: func() metav1.Object { return &kustomization{} },
}

// kustomization has the fields that this folder uses.
type kustomization struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Namespace         string      `json:"namespace,omitempty"`
	Resources         []string    `json:"resources,omitempty"`
	ConfigMaps        []generator `json:"configMapGenerator,omitempty"`
	Secrets           []generator `json:"secretGenerator,omitempty"`
	Images            []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images,omitempty"`
}

type generator struct {
	Name     string   `json:"name"`
	Literals []string `json:"literals,omitempty"`
	Files    []string `json:"files,omitempty"`
}

// decode reads the documents of one stream, strictly: an unknown field, a
// duplicate key or a wrong type is an error.
func decode(t *testing.T, name string, text []byte) []metav1.Object {
	t.Helper()
	var objects []metav1.Object
	docs := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	for {
		doc := make([]byte, len(text)+1)
		n, err := docs.Read(doc)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		raw, err := yaml.ToJSON(doc[:n])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var kind metav1.TypeMeta
		if err := json.UnmarshalCaseSensitivePreserveInts(raw, &kind); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		build, ok := newObject[kind]
		if !ok {
			t.Fatalf("%s: %s %s is a kind this test doesn't know", name, kind.APIVersion, kind.Kind)
		}
		o := build()
		strict, err := json.UnmarshalStrict(raw, o)
		for _, e := range append(strict, err) {
			if e != nil {
				t.Errorf("%s: %s %s: %v", name, kind.Kind, o.GetName(), e)
			}
		}
		objects = append(objects, o)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// assemble returns the objects of a kustomization and of those it names.
func assemble(t *testing.T, dir string) (objects []metav1.Object, configs []generator) {
	t.Helper()
	top := decode(t, dir, readFile(t, filepath.Join(dir, "kustomization.yaml")))[0].(*kustomization)
	configs = slices.Concat(top.ConfigMaps, top.Secrets)
	for _, r := range top.Resources {
		path := filepath.Join(dir, r)
		if strings.HasSuffix(r, ".yaml") {
			objects = append(objects, decode(t, path, readFile(t, path))...)
			continue
		}
		more, moreConfigs := assemble(t, path)
		objects, configs = append(objects, more...), append(configs, moreConfigs...)
	}
	return objects, configs
}

var overlays = []string{"overlays/single", "overlays/split"}

func TestEveryManifestIsStrictlyValidAndUsed(t *testing.T) {
	used := map[string]bool{}
	for _, dir := range append([]string{"base", "boundary"}, overlays...) {
		for _, r := range decode(t, dir, readFile(t, filepath.Join(dir, "kustomization.yaml")))[0].(*kustomization).Resources {
			used[filepath.Join(dir, r)] = true
		}
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		decode(t, path, readFile(t, path))
		if d.Name() != "kustomization.yaml" && !used[path] {
			t.Errorf("%s is in no kustomization", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// workload is a Deployment or a StatefulSet.
type workload struct {
	name     string
	replicas int32
	once     bool // never two at the same time
	selector *metav1.LabelSelector
	pod      corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

func workloads(objects []metav1.Object) []workload {
	var all []workload
	for _, o := range objects {
		switch w := o.(type) {
		case *appsv1.Deployment:
			all = append(all, workload{
				w.Name, *w.Spec.Replicas, w.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
				w.Spec.Selector, w.Spec.Template, nil,
			})
		case *appsv1.StatefulSet:
			all = append(all, workload{w.Name, *w.Spec.Replicas, *w.Spec.Replicas == 1, w.Spec.Selector, w.Spec.Template, w.Spec.VolumeClaimTemplates})
		}
	}
	return all
}

func TestWorkloads(t *testing.T) {
	for _, dir := range overlays {
		t.Run(dir, func(t *testing.T) {
			objects, configs := assemble(t, dir)
			for _, w := range workloads(objects) {
				t.Run(w.name, func(t *testing.T) { checkWorkload(t, w, configs) })
			}
		})
	}
}

func checkWorkload(t *testing.T, w workload, configs []generator) {
	if !selects(t, w.selector, w.pod.Labels) {
		t.Error("its selector does not match its own pods")
	}
	spec := w.pod.Spec
	if spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Error("uses the host's namespaces")
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Error("mounts a token for Kubernetes")
	}
	if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
		t.Error("gets environment variables by the names of services")
	}
	s := spec.SecurityContext
	if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0 ||
		s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod is not restricted: %+v", s)
	}
	volumes := map[string]bool{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = true
		if v.HostPath != nil {
			t.Errorf("volume %s is a path of the host", v.Name)
		}
	}
	for _, c := range w.claims {
		volumes[c.Name] = true
	}
	if len(spec.InitContainers) != 0 || len(spec.Containers) != 1 {
		t.Fatal("want one container")
	}
	c := spec.Containers[0]
	checkContainer(t, c)
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("mounts %s, which is no volume", m.Name)
		}
		delete(volumes, m.Name)
	}
	for v := range volumes {
		t.Errorf("volume %s is not mounted", v)
	}
	for _, ref := range references(spec) {
		if !slices.ContainsFunc(configs, func(g generator) bool { return g.Name == ref }) {
			t.Errorf("names %s, which no kustomization makes", ref)
		}
	}
}

func checkContainer(t *testing.T, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || s.Privileged != nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
		s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.Capabilities == nil || len(s.Capabilities.Add) > 0 || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("container is not restricted: %+v", s)
	}
	for name, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil {
			t.Errorf("no %s probe", name)
			continue
		}
		if !hasPort(c, p.HTTPGet.Port) {
			t.Errorf("%s probe asks port %s, which the container has not", name, p.HTTPGet.Port.String())
		}
	}
	for _, kind := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q := c.Resources.Requests[kind]; q.IsZero() {
			t.Errorf("requests no %s", kind)
		}
	}
	if q := c.Resources.Limits[corev1.ResourceMemory]; q.IsZero() {
		t.Error("has no limit on memory")
	}
	if c.Image != "earshot" {
		return
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("probes ask the wrong paths")
	}
	for _, e := range c.Env {
		if (strings.HasSuffix(e.Name, "_PASSWORD") || strings.HasSuffix(e.Name, "_KEY")) && !strings.HasPrefix(e.Value, "file:/run/secrets/earshot/") {
			t.Errorf("%s is not read from a file", e.Name)
		}
	}
}

func hasPort(c corev1.Container, port intstr.IntOrString) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
		return p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal
	})
}

// references are the config maps and secrets that a pod names.
func references(spec corev1.PodSpec) []string {
	var names []string
	for _, v := range spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			names = append(names, v.ConfigMap.Name)
		case v.Secret != nil:
			names = append(names, v.Secret.SecretName)
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				names = append(names, s.Secret.Name)
			}
		}
	}
	for _, e := range spec.Containers[0].EnvFrom {
		names = append(names, e.ConfigMapRef.Name)
	}
	return names
}

func selects(t *testing.T, s *metav1.LabelSelector, l map[string]string) bool {
	t.Helper()
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return !sel.Empty() && sel.Matches(labels.Set(l))
}

func TestServicesBudgetsAndPoliciesSelectPods(t *testing.T) {
	for _, dir := range overlays {
		objects, _ := assemble(t, dir)
		pods := workloads(objects)
		for _, o := range objects {
			var selector *metav1.LabelSelector
			switch o := o.(type) {
			case *corev1.Service:
				selector = &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
				for _, w := range pods {
					for _, p := range o.Spec.Ports {
						if selects(t, selector, w.pod.Labels) && !hasPort(w.pod.Spec.Containers[0], p.TargetPort) {
							t.Errorf("%s: service %s leads to port %s, which %s has not", dir, o.Name, p.TargetPort.String(), w.name)
						}
					}
				}
			case *policyv1.PodDisruptionBudget:
				selector = o.Spec.Selector
			case *networkingv1.NetworkPolicy:
				selector = &o.Spec.PodSelector
				if o.Name == "earshot-index" && dir == "overlays/single" {
					continue // there the index is inside
				}
			default:
				continue
			}
			if !slices.ContainsFunc(pods, func(w workload) bool { return selects(t, selector, w.pod.Labels) }) {
				t.Errorf("%s: %T %s selects nothing", dir, o, o.GetName())
			}
		}
	}
}

func TestServices(t *testing.T) {
	objects, _ := assemble(t, "base")
	replicas := map[string]int32{}
	for _, w := range workloads(objects) {
		c := w.pod.Spec.Containers[0]
		if c.Image != "earshot" || len(c.Args) != 2 || "earshot-"+c.Args[1] != w.name || w.pod.Labels["app.kubernetes.io/component"] != c.Args[1] {
			t.Errorf("%s runs %s %v with labels %v", w.name, c.Image, c.Args, w.pod.Labels)
			continue
		}
		replicas[c.Args[1]] = w.replicas
		if runsOnce := c.Args[1] == "fetcher" || c.Args[1] == "indexer"; runsOnce != w.once || runsOnce != (w.replicas == 1) {
			t.Errorf("%s: %d replicas, once %v", w.name, w.replicas, w.once)
		}
		for _, e := range c.Env {
			if e.Name == "EARSHOT_BUS_USER" && e.Value != c.Args[1] {
				t.Errorf("%s signs in to the bus as %s", w.name, e.Value)
			}
		}
		indexed := slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "EARSHOT_SEARCH_KEY" })
		if indexed != (c.Args[1] == "indexer" || c.Args[1] == "desk") {
			t.Errorf("%s: has the key of the index, or lacks it", w.name)
		}
	}
	for _, s := range []string{"fetcher", "classifier", "indexer", "pager", "replier", "desk"} {
		if replicas[s] == 0 {
			t.Errorf("no deployment of %s", s)
		}
	}
}

func TestNamesAndLabelsAreWellFormed(t *testing.T) {
	for _, dir := range overlays {
		objects, _ := assemble(t, dir)
		seen := map[string]bool{}
		for _, o := range objects {
			for _, e := range validation.IsDNS1123Label(o.GetName()) {
				t.Errorf("%s: name %q: %s", dir, o.GetName(), e)
			}
			for k, v := range o.GetLabels() {
				for _, e := range append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...) {
					t.Errorf("%s: %s: label %s=%s: %s", dir, o.GetName(), k, v, e)
				}
			}
			if key := fmt.Sprintf("%T %s", o, o.GetName()); seen[key] {
				t.Errorf("%s: two of %s", dir, key)
			} else {
				seen[key] = true
			}
		}
	}
}

func TestBusRightsAreThoseOfDeploy(t *testing.T) {
	if !bytes.Equal(readFile(t, "overlays/split/nats-users.conf"), readFile(t, "../deploy/nats-users.conf")) {
		t.Error("overlays/split/nats-users.conf differs from deploy/nats-users.conf; copy it")
	}
	const image = "image: nats:"
	_, here, _ := strings.Cut(string(readFile(t, "overlays/split/nats.yaml")), image)
	_, there, _ := strings.Cut(string(readFile(t, "../deploy/compose.yaml")), image)
	if h, t2 := strings.Fields(here)[0], strings.Fields(there)[0]; h != t2 {
		t.Errorf("nats %s here, %s in deploy/compose.yaml", h, t2)
	}
}

// stage copies this folder, with secrets made for it.
func stage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	command(t, "../deploy/make-secrets", filepath.Join(dir, "overlays/split/secrets"))
	return dir
}

func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "POD_NAME=nats-0")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

func TestClusterConfigurationIsValid(t *testing.T) {
	dir := stage(t)
	root := t.TempDir()
	server := filepath.Join(root, "nats-server")
	command(t, "go", "build", "-o", server, "github.com/nats-io/nats-server/v2")
	for from, to := range map[string]string{
		"nats.conf": "etc/nats", "nats-users.conf": "etc/nats",
		"secrets/nats-passwords.conf": "run/secrets", "secrets/nats-cluster.conf": "run/secrets",
	} {
		if err := os.MkdirAll(filepath.Join(root, to), 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, to, filepath.Base(from))
		if err := os.WriteFile(path, readFile(t, filepath.Join(dir, "overlays/split", from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, server, "-t", "--config", filepath.Join(root, "etc/nats/nats.conf"))
}

// TestKustomizeRenders needs kubectl; the other tests read the same files
// without it.
func TestKustomizeRenders(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("there is no kubectl")
	}
	dir := stage(t)
	for _, overlay := range overlays {
		objects := decode(t, overlay, command(t, "kubectl", "kustomize", filepath.Join(dir, overlay)))
		configs := map[string]bool{}
		for _, o := range objects {
			switch o.(type) {
			case *corev1.Secret, *corev1.ConfigMap:
				configs[o.GetName()] = true
			}
		}
		var image string
		for _, w := range workloads(objects) {
			for _, ref := range references(w.pod.Spec) {
				if !configs[ref] {
					t.Errorf("%s: %s names %s, which is not there", overlay, w.name, ref)
				}
			}
			if i := w.pod.Spec.Containers[0].Image; strings.Contains(i, "/earshot:") {
				if image != "" && i != image {
					t.Errorf("%s: %s runs %s, others %s", overlay, w.name, i, image)
				}
				image = i
			}
		}
		if image == "" {
			t.Errorf("%s: nothing runs Earshot", overlay)
		}
	}
}

package manifest

// Verdict is what podrun does with a field.
type Verdict string

const (
	Honoured    Verdict = "honoured"          // does what it does on a kubelet
	NotYet      Verdict = "not supported yet" // refused by this version
	Meaningless Verdict = "ignored"           // accepted and said: nothing on one machine answers to it
	Refused     Verdict = "refused"           // would change security or data, or never work
	Overwritten Verdict = "overwritten"       // an API server replaces it on create; dropped
)

// rule is the verdict on a field.
type rule struct {
	verdict Verdict
	reason  string   // why, or what to know about it
	values  []string // of an honoured field: the only values that are; else those that are accepted because they change nothing
	rest    Verdict  // of an honoured field with values: the verdict on others
}

func h(note string) rule    { return rule{verdict: Honoured, reason: note} }
func soon(note string) rule { return rule{verdict: NotYet, reason: note} }
func m(reason string) rule  { return rule{verdict: Meaningless, reason: reason} }
func r(reason string) rule  { return rule{verdict: Refused, reason: reason} }
func overwritten() rule     { return rule{verdict: Overwritten} }

// Reasons that several volume sources share.
const (
	cloudDisk  = "a disk of a cloud provider"
	netDisk    = "network storage needs a plugin on the host; mount it there and use a hostPath"
	removed    = "Kubernetes has removed it"
	deprecated = "Kubernetes has deprecated it"
)

// only restricts an honoured field to values; others are not supported yet.
func (r rule) only(values ...string) rule {
	r.values, r.rest = values, NotYet
	return r
}

// otherwise replaces the verdict on the values that only leaves out.
func (r rule) otherwise(rest Verdict, reason string) rule {
	r.rest, r.reason = rest, reason
	return r
}

// but accepts values that say what is so anyway, Kubernetes' default above all.
func (r rule) but(values ...string) rule {
	r.values = values
	return r
}

// verdicts is the verdict on every field that a pod can have, by the struct that
// declares it: h is honoured, soon will be, m has no meaning on one machine, r is
// refused. Nothing is said about what is below m, r and overwritten, which share
// their verdict with it. What is below soon has the verdict that holds once its
// parent is honoured, so that an issue which honours a field flips one entry.
var verdicts = map[string]rule{
	"Pod.metadata":        h(""),
	"Pod.spec":            h(""),
	"Pod.status":          overwritten(),
	"TypeMeta.apiVersion": h(""),
	"TypeMeta.kind":       h(""),

	"ObjectMeta.name":                       h(""),
	"ObjectMeta.generateName":               r("a random name would make another pod each time, give metadata.name"),
	"ObjectMeta.namespace":                  h(""),
	"ObjectMeta.labels":                     h(""),
	"ObjectMeta.annotations":                h(""),
	"ObjectMeta.ownerReferences":            m("no controller collects what an owner leaves behind"),
	"ObjectMeta.finalizers":                 m("no controller takes them off again"),
	"ObjectMeta.selfLink":                   overwritten(),
	"ObjectMeta.uid":                        overwritten(),
	"ObjectMeta.resourceVersion":            overwritten(),
	"ObjectMeta.generation":                 overwritten(),
	"ObjectMeta.creationTimestamp":          overwritten(),
	"ObjectMeta.deletionTimestamp":          overwritten(),
	"ObjectMeta.deletionGracePeriodSeconds": overwritten(),
	"ObjectMeta.managedFields":              overwritten(),

	"PodSpec.volumes":                       h(""),
	"PodSpec.initContainers":                soon("serial, retried per restartPolicy; sidecars"),
	"PodSpec.containers":                    h(""),
	"PodSpec.ephemeralContainers":           r("Kubernetes forbids them when a pod is created"),
	"PodSpec.restartPolicy":                 h("with back-off from 10 s to 300 s"),
	"PodSpec.terminationGracePeriodSeconds": h("default 30"),
	"PodSpec.activeDeadlineSeconds":         soon("phase Failed, reason DeadlineExceeded"),
	"PodSpec.dnsPolicy":                     h("the host's resolver").only("ClusterFirst", "ClusterFirstWithHostNet", "Default"),
	"PodSpec.nodeSelector":                  m("there is one node"),
	"PodSpec.serviceAccountName":            m("there is no API server to have an account with"),
	"PodSpec.serviceAccount":                m("there is no API server to have an account with"),
	"PodSpec.automountServiceAccountToken":  m("no token is ever mounted"),
	"PodSpec.nodeName":                      m("there is one node"),
	"PodSpec.hostNetwork":                   h(""),
	"PodSpec.hostPID":                       soon(""),
	"PodSpec.hostIPC":                       soon(""),
	"PodSpec.shareProcessNamespace":         soon("").but("false"),
	"PodSpec.securityContext":               h("see PodSecurityContext"),
	"PodSpec.imagePullSecrets":              soon(""),
	"PodSpec.hostname":                      h(""),
	"PodSpec.subdomain":                     soon(""),
	"PodSpec.affinity":                      m("there is one node"),
	"PodSpec.schedulerName":                 m("there is one node").but("default-scheduler"),
	"PodSpec.tolerations":                   m("there is one node"),
	"PodSpec.hostAliases":                   soon(""),
	"PodSpec.priorityClassName":             m("no pod gives way to another"),
	"PodSpec.priority":                      m("no pod gives way to another"),
	"PodSpec.dnsConfig":                     h("see PodDNSConfig"),
	"PodSpec.readinessGates":                r("no controller can set the condition, the pod would never be Ready"),
	"PodSpec.runtimeClassName":              soon(""),
	"PodSpec.enableServiceLinks":            m("there are no Services").but("true"),
	"PodSpec.preemptionPolicy":              m("no pod gives way to another"),
	"PodSpec.overhead":                      m("only admission of a RuntimeClass adds it"),
	"PodSpec.topologySpreadConstraints":     m("there is one node"),
	"PodSpec.setHostnameAsFQDN":             soon("").but("false"),
	"PodSpec.os":                            h("see PodOS"),
	"PodSpec.hostUsers":                     soon("").but("true"),
	"PodSpec.schedulingGates":               r("the pod must not start while gated, and nothing can lift the gate"),
	"PodSpec.resourceClaims":                r("dynamic resource allocation needs a driver and API objects"),
	"PodSpec.resources":                     soon("limits of the pod's cgroup").but("{}"),
	"PodSpec.hostnameOverride":              soon(""),
	"PodSpec.schedulingGroup":               m("there is one node"),
	"PodSpec.evictionResponders":            m("there is no Eviction API"),

	"PodOS.name": h("").only("linux").otherwise(Refused, "podrun runs Linux containers"),

	"PodSecurityContext.seLinuxOptions":           soon("").but("{}"),
	"PodSecurityContext.windowsOptions":           r("podrun runs Linux containers"),
	"PodSecurityContext.runAsUser":                soon(""),
	"PodSecurityContext.runAsGroup":               soon(""),
	"PodSecurityContext.runAsNonRoot":             soon("").but("false"),
	"PodSecurityContext.supplementalGroups":       soon(""),
	"PodSecurityContext.supplementalGroupsPolicy": soon("").but("Merge"),
	"PodSecurityContext.fsGroup":                  soon(""),
	"PodSecurityContext.sysctls":                  soon(""),
	"PodSecurityContext.fsGroupChangePolicy":      soon("").but("Always"),
	"PodSecurityContext.seccompProfile":           h("see SeccompProfile"),
	"PodSecurityContext.appArmorProfile":          soon(""),
	"PodSecurityContext.seLinuxChangePolicy":      m("how to relabel a volume that other nodes may use"),

	"Sysctl.name":                      h(""),
	"Sysctl.value":                     h(""),
	"SELinuxOptions.user":              h(""),
	"SELinuxOptions.role":              h(""),
	"SELinuxOptions.type":              h(""),
	"SELinuxOptions.level":             h(""),
	"SeccompProfile.type":              h("also when none is given").only("RuntimeDefault"),
	"SeccompProfile.localhostProfile":  soon(""),
	"AppArmorProfile.type":             h(""),
	"AppArmorProfile.localhostProfile": h(""),

	"PodDNSConfig.nameservers":  soon(""),
	"PodDNSConfig.searches":     soon(""),
	"PodDNSConfig.options":      soon(""),
	"PodDNSConfigOption.name":   h(""),
	"PodDNSConfigOption.value":  h(""),
	"HostAlias.ip":              h(""),
	"HostAlias.hostnames":       h(""),
	"LocalObjectReference.name": h(""),

	"Container.name":                     h(""),
	"Container.image":                    h(""),
	"Container.command":                  h("with $(VAR) expansion"),
	"Container.args":                     h("with $(VAR) expansion"),
	"Container.workingDir":               h(""),
	"Container.ports":                    h(""),
	"Container.envFrom":                  soon(""),
	"Container.env":                      h("with $(VAR) expansion inside values, in order"),
	"Container.resources":                h(""),
	"Container.resizePolicy":             m("no resize API"),
	"Container.restartPolicy":            soon("Always on an init container: a sidecar"),
	"Container.restartPolicyRules":       soon(""),
	"Container.volumeMounts":             h(""),
	"Container.volumeDevices":            r("a raw block device needs a claim in mode Block; a hostPath of type BlockDevice covers most needs"),
	"Container.livenessProbe":            soon(""),
	"Container.readinessProbe":           soon(""),
	"Container.startupProbe":             soon(""),
	"Container.lifecycle":                h("see Lifecycle"),
	"Container.terminationMessagePath":   soon("").but("/dev/termination-log"),
	"Container.terminationMessagePolicy": soon("").but("File"),
	"Container.imagePullPolicy":          h("Always for :latest or no tag, else IfNotPresent"),
	"Container.securityContext":          h("see SecurityContext"),
	"Container.stdin":                    soon(""),
	"Container.stdinOnce":                soon(""),
	"Container.tty":                      soon(""),

	"ContainerPort.name":                       h(""),
	"ContainerPort.hostPort":                   h(""),
	"ContainerPort.containerPort":              h(""),
	"ContainerPort.protocol":                   h("").only("TCP", "UDP"),
	"ContainerPort.hostIP":                     h(""),
	"EnvVar.name":                              h(""),
	"EnvVar.value":                             h("with $(VAR) expansion"),
	"EnvVar.valueFrom":                         soon(""),
	"EnvVarSource.fieldRef":                    h(""),
	"EnvVarSource.resourceFieldRef":            h(""),
	"EnvVarSource.configMapKeyRef":             h(""),
	"EnvVarSource.secretKeyRef":                h(""),
	"EnvVarSource.fileKeyRef":                  r("alpha in Kubernetes"),
	"EnvFromSource.prefix":                     h(""),
	"EnvFromSource.configMapRef":               h(""),
	"EnvFromSource.secretRef":                  h(""),
	"ConfigMapEnvSource.optional":              h(""),
	"SecretEnvSource.optional":                 h(""),
	"ConfigMapKeySelector.key":                 h(""),
	"ConfigMapKeySelector.optional":            h(""),
	"SecretKeySelector.key":                    h(""),
	"SecretKeySelector.optional":               h(""),
	"ObjectFieldSelector.apiVersion":           h(""),
	"ObjectFieldSelector.fieldPath":            h(""),
	"ResourceFieldSelector.containerName":      h(""),
	"ResourceFieldSelector.resource":           h(""),
	"ResourceFieldSelector.divisor":            h(""),
	"ResourceRequirements.limits":              h("cpu, memory"),
	"ResourceRequirements.requests":            h("cpu, memory; they make the QoS class"),
	"ResourceRequirements.claims":              r("dynamic resource allocation needs a driver and API objects"),
	"ContainerRestartRule.action":              h(""),
	"ContainerRestartRule.exitCodes":           h(""),
	"ContainerRestartRuleOnExitCodes.operator": h(""),
	"ContainerRestartRuleOnExitCodes.values":   h(""),

	"VolumeMount.name":              h(""),
	"VolumeMount.readOnly":          h(""),
	"VolumeMount.recursiveReadOnly": soon("").but("Disabled"),
	"VolumeMount.mountPath":         h(""),
	"VolumeMount.subPath":           soon(""),
	"VolumeMount.mountPropagation":  soon("").but("None"),
	"VolumeMount.subPathExpr":       soon(""),
	"VolumeMount.bindMountOptions":  soon("noexec, nodev, nosuid; alpha in Kubernetes"),

	"Probe.initialDelaySeconds":           h(""),
	"Probe.timeoutSeconds":                h(""),
	"Probe.periodSeconds":                 h(""),
	"Probe.successThreshold":              h(""),
	"Probe.failureThreshold":              h(""),
	"Probe.terminationGracePeriodSeconds": h(""),
	"ProbeHandler.exec":                   h(""),
	"ProbeHandler.httpGet":                h(""),
	"ProbeHandler.tcpSocket":              h(""),
	"ProbeHandler.grpc":                   h(""),
	"ExecAction.command":                  h(""),
	"HTTPGetAction.path":                  h(""),
	"HTTPGetAction.port":                  h(""),
	"HTTPGetAction.host":                  h(""),
	"HTTPGetAction.scheme":                h(""),
	"HTTPGetAction.httpHeaders":           h(""),
	"HTTPGetAction.protocol":              r("alpha in Kubernetes"),
	"HTTPHeader.name":                     h(""),
	"HTTPHeader.value":                    h(""),
	"TCPSocketAction.port":                h(""),
	"TCPSocketAction.host":                h(""),
	"GRPCAction.port":                     h(""),
	"GRPCAction.service":                  h(""),
	"GRPCAction.mode":                     r("alpha in Kubernetes"),
	"Lifecycle.postStart":                 soon(""),
	"Lifecycle.preStop":                   soon(""),
	"Lifecycle.stopSignal":                soon(""),
	"LifecycleHandler.exec":               h(""),
	"LifecycleHandler.httpGet":            h(""),
	"LifecycleHandler.tcpSocket":          r("Kubernetes does not support it as a hook"),
	"LifecycleHandler.sleep":              h(""),
	"SleepAction.seconds":                 h(""),

	"SecurityContext.capabilities":             h("see Capabilities"),
	"SecurityContext.privileged":               soon("").but("false"),
	"SecurityContext.seLinuxOptions":           soon("").but("{}"),
	"SecurityContext.windowsOptions":           r("podrun runs Linux containers"),
	"SecurityContext.runAsUser":                soon(""),
	"SecurityContext.runAsGroup":               soon(""),
	"SecurityContext.runAsNonRoot":             soon("").but("false"),
	"SecurityContext.readOnlyRootFilesystem":   soon("").but("false"),
	"SecurityContext.allowPrivilegeEscalation": soon("").but("true"),
	"SecurityContext.procMount":                soon("").but("Default"),
	"SecurityContext.seccompProfile":           h("see SeccompProfile"),
	"SecurityContext.appArmorProfile":          soon(""),
	"Capabilities.add":                         soon(""),
	"Capabilities.drop":                        soon(""),

	"Volume.name":                                 h(""),
	"VolumeSource.hostPath":                       h(""),
	"VolumeSource.emptyDir":                       h(""),
	"VolumeSource.secret":                         soon(""),
	"VolumeSource.persistentVolumeClaim":          soon(""),
	"VolumeSource.downwardAPI":                    soon(""),
	"VolumeSource.configMap":                      soon(""),
	"VolumeSource.projected":                      soon(""),
	"VolumeSource.image":                          soon(""),
	"VolumeSource.gcePersistentDisk":              r(cloudDisk),
	"VolumeSource.awsElasticBlockStore":           r(cloudDisk),
	"VolumeSource.cinder":                         r(cloudDisk),
	"VolumeSource.azureFile":                      r(cloudDisk),
	"VolumeSource.azureDisk":                      r(cloudDisk),
	"VolumeSource.vsphereVolume":                  r(cloudDisk),
	"VolumeSource.glusterfs":                      r(removed),
	"VolumeSource.quobyte":                        r(removed),
	"VolumeSource.photonPersistentDisk":           r(removed),
	"VolumeSource.scaleIO":                        r(removed),
	"VolumeSource.storageos":                      r(removed),
	"VolumeSource.gitRepo":                        r(deprecated),
	"VolumeSource.flexVolume":                     r(deprecated),
	"VolumeSource.flocker":                        r(deprecated),
	"VolumeSource.nfs":                            r(netDisk),
	"VolumeSource.iscsi":                          r(netDisk),
	"VolumeSource.rbd":                            r(netDisk),
	"VolumeSource.cephfs":                         r(netDisk),
	"VolumeSource.fc":                             r(netDisk),
	"VolumeSource.portworxVolume":                 r("a CSI volume needs a driver"),
	"VolumeSource.csi":                            r("a CSI volume needs a driver"),
	"VolumeSource.ephemeral":                      r("a generic ephemeral volume needs a provisioner"),
	"HostPathVolumeSource.path":                   h("a relative path is relative to the manifest"),
	"HostPathVolumeSource.type":                   h(""),
	"EmptyDirVolumeSource.medium":                 h("").only("Memory"),
	"EmptyDirVolumeSource.sizeLimit":              h("with medium Memory"),
	"EmptyDirVolumeSource.mode":                   soon("alpha in Kubernetes"),
	"SecretVolumeSource.secretName":               h(""),
	"SecretVolumeSource.items":                    h(""),
	"SecretVolumeSource.defaultMode":              h(""),
	"SecretVolumeSource.optional":                 h(""),
	"SecretVolumeSource.defaultUser":              r("alpha in Kubernetes"),
	"ConfigMapVolumeSource.items":                 h(""),
	"ConfigMapVolumeSource.defaultMode":           h(""),
	"ConfigMapVolumeSource.optional":              h(""),
	"ConfigMapVolumeSource.defaultUser":           r("alpha in Kubernetes"),
	"DownwardAPIVolumeSource.items":               h(""),
	"DownwardAPIVolumeSource.defaultMode":         h(""),
	"DownwardAPIVolumeSource.defaultUser":         r("alpha in Kubernetes"),
	"ProjectedVolumeSource.sources":               h(""),
	"ProjectedVolumeSource.defaultMode":           h(""),
	"ProjectedVolumeSource.defaultUser":           r("alpha in Kubernetes"),
	"VolumeProjection.secret":                     h(""),
	"VolumeProjection.downwardAPI":                h(""),
	"VolumeProjection.configMap":                  h(""),
	"VolumeProjection.serviceAccountToken":        r("there is no API server to issue it"),
	"VolumeProjection.clusterTrustBundle":         r("there is no API server to issue it"),
	"VolumeProjection.podCertificate":             r("there is no API server to issue it"),
	"SecretProjection.items":                      h(""),
	"SecretProjection.optional":                   h(""),
	"ConfigMapProjection.items":                   h(""),
	"ConfigMapProjection.optional":                h(""),
	"DownwardAPIProjection.items":                 h(""),
	"KeyToPath.key":                               h(""),
	"KeyToPath.path":                              h(""),
	"KeyToPath.mode":                              h(""),
	"KeyToPath.user":                              r("alpha in Kubernetes"),
	"DownwardAPIVolumeFile.path":                  h(""),
	"DownwardAPIVolumeFile.fieldRef":              h(""),
	"DownwardAPIVolumeFile.resourceFieldRef":      h(""),
	"DownwardAPIVolumeFile.mode":                  h(""),
	"DownwardAPIVolumeFile.user":                  r("alpha in Kubernetes"),
	"PersistentVolumeClaimVolumeSource.claimName": h(""),
	"PersistentVolumeClaimVolumeSource.readOnly":  h(""),
	"ImageVolumeSource.reference":                 h(""),
	"ImageVolumeSource.pullPolicy":                h(""),
}

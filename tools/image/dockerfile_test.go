// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDockerfile reads the Dockerfile with BuildKit's own parser and compares
// the container that it describes with ours, so that they cannot drift apart.
func TestDockerfile(t *testing.T) {
	dockerfile, err := os.Open("../../Dockerfile")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, dockerfile.Close()) })
	parsed, err := parser.Parse(dockerfile)
	require.NoError(t, err)
	stages, _, err := instructions.Parse(parsed.AST, nil)
	require.NoError(t, err)
	require.Len(t, stages, 3)
	build, runnerctl, last := stages[0], stages[1], stages[2]

	assert.Equal(t, "build", build.Name)
	assert.Regexp(t, `^golang:\d+\.\d+\.\d+$`, build.BaseName, "the compiler is pinned")
	assert.Contains(t, buildScript(build), "go run ./image rootfs --root .. --platform linux/$TARGETARCH --dest /rootfs && ")
	assert.Contains(t, buildScript(build), "go run ./image rootfs --image runnerctl --root .. --platform linux/$TARGETARCH --dest /runnerctl")

	version, err := distributionVersion("../../builder-config.yaml")
	require.NoError(t, err)
	collector, err := findProduct("otelcol-runner")
	require.NoError(t, err)
	assert.Equal(t, "scratch", last.BaseName)
	assert.Equal(t, collector.imageConfig(version), containerConfig(t, last, parsed.EscapeToken), "what is built without --target")
	require.Len(t, copies(last), 2)
	copied, data := copies(last)[0], copies(last)[1]
	assert.Equal(t, "build", copied.From)
	assert.Equal(t, []string{"/rootfs/"}, copied.SourcePaths)
	assert.Equal(t, "/", copied.DestPath)
	assert.Equal(t, "build", data.From)
	assert.Equal(t, "65532:65532", data.Chown, "the collector's user writes its log there")
	assert.Equal(t, "/"+dataPath+"/", data.DestPath)

	second, err := findProduct("runnerctl")
	require.NoError(t, err)
	assert.Equal(t, "runnerctl", runnerctl.Name)
	assert.Equal(t, "scratch", runnerctl.BaseName)
	assert.Equal(t, second.imageConfig(version), containerConfig(t, runnerctl, parsed.EscapeToken))
	require.Len(t, copies(runnerctl), 1)
	assert.Equal(t, "build", copies(runnerctl)[0].From)
	assert.Equal(t, []string{"/runnerctl/"}, copies(runnerctl)[0].SourcePaths)
	assert.Equal(t, "/", copies(runnerctl)[0].DestPath)
}

// containerConfig is the configuration that a stage's instructions describe,
// with the default values of its arguments.
func containerConfig(t *testing.T, stage instructions.Stage, escape rune) v1.Config {
	t.Helper()
	lex := shell.NewLex(escape)
	args := map[string]string{}
	config := v1.Config{Labels: map[string]string{}}
	expand := func(word string) string {
		out, _, err := lex.ProcessWord(word, shell.EnvsFromSlice(pairs(args)))
		require.NoError(t, err)
		return out
	}
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.ArgCommand:
			for _, arg := range c.Args {
				args[arg.Key] = arg.ValueString()
			}
		case *instructions.LabelCommand:
			for _, label := range c.Labels {
				config.Labels[expand(label.Key)] = expand(label.Value)
			}
		case *instructions.EnvCommand:
			for _, env := range c.Env {
				config.Env = append(config.Env, env.Key+"="+expand(env.Value))
			}
		case *instructions.ExposeCommand:
			config.ExposedPorts = map[string]struct{}{}
			for _, port := range c.Ports {
				config.ExposedPorts[port] = struct{}{}
			}
		case *instructions.VolumeCommand:
			config.Volumes = map[string]struct{}{}
			for _, volume := range c.Volumes {
				config.Volumes[volume] = struct{}{}
			}
		case *instructions.UserCommand:
			config.User = c.User
		case *instructions.WorkdirCommand:
			config.WorkingDir = c.Path
		case *instructions.EntrypointCommand:
			require.False(t, c.PrependShell, "the image has no shell: ENTRYPOINT is a JSON list")
			config.Entrypoint = c.CmdLine
		case *instructions.CmdCommand:
			require.False(t, c.PrependShell, "the image has no shell: CMD is a JSON list")
			config.Cmd = c.CmdLine
		case *instructions.CopyCommand: // compared by the caller
		default:
			t.Errorf("the Dockerfile has %s, which no test compares with the image", c)
		}
	}
	return config
}

func pairs(args map[string]string) []string {
	var out []string
	for k, v := range args {
		out = append(out, k+"="+v)
	}
	return out
}

func copies(stage instructions.Stage) []*instructions.CopyCommand {
	var out []*instructions.CopyCommand
	for _, command := range stage.Commands {
		if c, ok := command.(*instructions.CopyCommand); ok {
			out = append(out, c)
		}
	}
	return out
}

func buildScript(stage instructions.Stage) string {
	var out []string
	for _, command := range stage.Commands {
		if c, ok := command.(*instructions.RunCommand); ok {
			out = append(out, strings.Join(c.CmdLine, " "))
		}
	}
	return strings.Join(out, "\n")
}

// Package sandbox has small stand-ins of tools, in process and over real HTTP:
// they answer the tools' own REST paths and show a page each. The demo runs on
// them, and the tests of the adapters.
//
// A stand-in does what its tool does as far as the adapters use it, and refuses
// what the tool refuses in the tool's words. It is no mock: nobody tells it what to
// answer. With a folder it keeps its state over a restart.
package sandbox

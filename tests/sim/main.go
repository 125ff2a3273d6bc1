// Command sendense-sim is the simulated vCenter of the Sendense test bench: the SOAP types of govmomi's simulator,
// extended with snapshots, change tracking and datastore access that hold real disk contents.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/vmware/govmomi/simulator"
)

// ready is the one line on standard output that tells the caller where the simulator listens.
type ready struct {
	Ready   bool   `json:"ready"`
	Address string `json:"address"`
	URL     string `json:"url"`
	SHA256  string `json:"sha256"`
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port; port 0 takes a free one")
	specFile := flag.String("spec", "", "JSON file with the inventory")
	plain := flag.Bool("plain", false, "serve govmomi's own simulator, with the login of the spec")
	caOut := flag.String("ca-out", "", "write the certificate here, as PEM")
	flag.Parse()
	log.SetPrefix("sendense-sim: ")
	if flag.NArg() > 0 || *specFile == "" {
		log.Fatal("usage: sendense-sim --listen ADDRESS:PORT --spec FILE [--plain] [--ca-out FILE]")
	}
	if err := serve(*listen, *specFile, *plain, *caOut); err != nil {
		log.Fatal(err)
	}
}

// serve runs until SIGTERM or SIGINT.
func serve(listen, specFile string, plain bool, caOut string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if err := checkLoopback(listen); err != nil {
		return err
	}
	spec, err := readSpec(specFile)
	if err != nil {
		return err
	}
	cert, pemText, err := newCertificate()
	if err != nil {
		return err
	}
	if caOut != "" {
		if err := os.WriteFile(caOut, pemText, 0o644); err != nil {
			return err
		}
	}

	model := simulator.VPX()
	if !plain {
		model.Cluster, model.Machine, model.Portgroup = 0, 0, 0
		model.Datastore = len(spec.Datastores)
	}
	err = model.Create()
	if plain {
		defer model.Remove()
	} else {
		model.Remove() // only the folders that stand for datastores; ours are not kept there
	}
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	standIn, err := emptyPassword(spec.Password)
	if err != nil {
		return err
	}
	if plain && standIn != "" {
		return fmt.Errorf("govmomi's own simulator takes no empty password")
	}
	model.Service.Listen = &url.URL{Host: listen, User: url.UserPassword(spec.User, spec.Password+standIn)}
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	var simulated *world
	if !plain {
		if simulated, err = newWorld(spec); err != nil {
			return err
		}
	}
	server := model.Service.NewServer()
	if simulated != nil {
		server.Config.Handler = newFront(simulated, server.Config.Handler, standIn)
	}
	server.Config.ErrorLog = log.Default()

	sum := sha256.Sum256(cert.Certificate[0])
	address := server.Listener.Addr().String()
	line, err := json.Marshal(ready{Ready: true, Address: address, URL: "https://" + address,
		SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	<-stop
	return server.Config.Close()
}

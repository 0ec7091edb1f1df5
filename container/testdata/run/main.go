// Command run starts a cloud, and prints why that fails.
package main

import (
	"context"
	"fmt"

	"github.com/fakeentra/fakeentra/container"
)

func main() {
	_, err := container.Run(context.Background(), "fakeentra")
	fmt.Println(err)
}

package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	sdkblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	sdkcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/go-cmp/cmp"
)

// A credential hands out tokens of a world, and keeps what it was asked for.
type credential struct {
	w       *world
	as      string
	options []policy.TokenRequestOptions
}

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.options = append(c.options, o)
	return azcore.AccessToken{Token: c.w.mint(c.w.claims(c.as)), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// sdk returns the Go SDK's client for a world.
func (w *world) sdk(as string) *azblob.Client {
	w.t.Helper()
	options := &azblob.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: &http.Client{Transport: w}, Retry: policy.RetryOptions{MaxRetries: -1},
	}}
	client, err := azblob.NewClient(endpoint+"/", &credential{w: w, as: as}, options)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

func pointer[T any](v T) *T { return &v }

func ok[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t *testing.T, err error, status int, code bloberror.Code) {
	t.Helper()
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.StatusCode != status || refused.ErrorCode != string(code) {
		t.Fatalf("got %v, want %d %s", err, status, code)
	}
}

func TestGoSDKUploadsAndDownloads(t *testing.T) {
	w := newWorld(t)
	client, ctx := w.sdk(owner), t.Context()
	ok[azblob.CreateContainerResponse](t)(client.CreateContainer(ctx, "reports", nil))
	_, err := client.CreateContainer(ctx, "reports", nil)
	wantCode(t, err, 409, bloberror.ContainerAlreadyExists)

	content := []byte("id,amount\n1,10\n")
	up := ok[azblob.UploadBufferResponse](t)(client.UploadBuffer(ctx, "reports", "2026/q1.csv", content, &azblob.UploadBufferOptions{
		Metadata: map[string]*string{"colour": pointer("blue")}, HTTPHeaders: &sdkblob.HTTPHeaders{BlobContentType: pointer("text/csv")},
	}))
	down := ok[azblob.DownloadStreamResponse](t)(client.DownloadStream(ctx, "reports", "2026/q1.csv", nil))
	if got := ok[[]byte](t)(io.ReadAll(down.Body)); !bytes.Equal(got, content) {
		t.Errorf("got %q", got)
	}
	if *down.ETag != *up.ETag || *down.ContentType != "text/csv" || *down.Metadata["Colour"] != "blue" || !down.LastModified.Equal(start.Truncate(time.Second)) ||
		!bytes.Equal(down.ContentMD5, up.ContentMD5) || *down.BlobType != sdkblob.BlobTypeBlockBlob {
		t.Errorf("got %+v", down)
	}
	part := ok[azblob.DownloadStreamResponse](t)(client.DownloadStream(ctx, "reports", "2026/q1.csv", &azblob.DownloadStreamOptions{
		Range: azblob.HTTPRange{Offset: 3, Count: 6}, RangeGetContentMD5: pointer(true),
	}))
	if got := ok[[]byte](t)(io.ReadAll(part.Body)); string(got) != "amount" || *part.ContentRange != "bytes 3-8/15" || !bytes.Equal(part.BlobContentMD5, up.ContentMD5) {
		t.Errorf("got %q, %+v", got, part)
	}
}

func TestGoSDKUploadsInBlocks(t *testing.T) {
	w := newWorld(t)
	client, ctx := w.sdk(owner), t.Context()
	ok[azblob.CreateContainerResponse](t)(client.CreateContainer(ctx, "reports", nil))
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
	ok[azblob.UploadStreamResponse](t)(client.UploadStream(ctx, "reports", "large", bytes.NewReader(content), &azblob.UploadStreamOptions{BlockSize: 1 << 20, Concurrency: 2}))

	buffer := make([]byte, len(content))
	n := ok[int64](t)(client.DownloadBuffer(ctx, "reports", "large", buffer, &azblob.DownloadBufferOptions{BlockSize: 1 << 20}))
	if n != int64(len(content)) || !bytes.Equal(buffer, content) {
		t.Errorf("%d bytes came back, equal: %v", n, bytes.Equal(buffer, content))
	}
	blocks := client.ServiceClient().NewContainerClient("reports").NewBlockBlobClient("large")
	list := ok[blockblob.GetBlockListResponse](t)(blocks.GetBlockList(ctx, blockblob.BlockListTypeAll, nil))
	if len(list.CommittedBlocks) != 3 || len(list.UncommittedBlocks) != 0 || *list.BlobContentLength != int64(len(content)) {
		t.Errorf("got %d and %d blocks of %d bytes", len(list.CommittedBlocks), len(list.UncommittedBlocks), *list.BlobContentLength)
	}
	ops := len(w.edge.Journal.Snapshot().Of("blob.put-block").Entries)
	if ops != 3 {
		t.Errorf("%d blocks were put", ops)
	}
}

func TestGoSDKDownloadsAnEmptyBlob(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "empty", "")
	if n, err := w.sdk(reader).DownloadBuffer(t.Context(), "reports", "empty", nil, nil); n != 0 || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

func TestGoSDKListsFlatInPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b/2", "a", "b/1", "c d+é&<.txt", "illegal\x01"} {
		w.put("reports", name, name)
	}
	var names []string
	pages := 0
	for pager := w.sdk(reader).NewListBlobsFlatPager("reports", &azblob.ListBlobsFlatOptions{MaxResults: pointer[int32](2), Include: azblob.ListBlobsInclude{Metadata: true}}); pager.More(); pages++ {
		page := ok[azblob.ListBlobsFlatResponse](t)(pager.NextPage(t.Context()))
		for _, item := range page.Segment.BlobItems {
			names = append(names, *item.Name)
			if *item.Properties.ContentLength != int64(len(*item.Name)) || *item.Properties.ContentType != "text/plain" || item.Properties.ETag == nil {
				t.Errorf("%s: %+v", *item.Name, item.Properties)
			}
		}
	}
	if diff := cmp.Diff([]string{"a", "b/1", "b/2", "c d+é&<.txt", "illegal\x01"}, names); diff != "" || pages != 3 {
		t.Errorf("%d pages; %s", pages, diff)
	}
}

func TestGoSDKListsByHierarchyInPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a.txt", "b/1", "b/2", "b/c/3", "d.txt", "e/4"} {
		w.put("reports", name, name)
	}
	list := func(prefix string) (names []string) {
		client := w.sdk(reader).ServiceClient().NewContainerClient("reports")
		for pager := client.NewListBlobsHierarchyPager("/", &sdkcontainer.ListBlobsHierarchyOptions{Prefix: &prefix, MaxResults: pointer[int32](1)}); pager.More(); {
			page := ok[sdkcontainer.ListBlobsHierarchyResponse](t)(pager.NextPage(t.Context()))
			for _, group := range page.Segment.BlobPrefixes {
				names = append(names, *group.Name)
			}
			for _, item := range page.Segment.BlobItems {
				names = append(names, *item.Name)
			}
		}
		return names
	}
	for prefix, want := range map[string][]string{"": {"a.txt", "b/", "d.txt", "e/"}, "b/": {"b/1", "b/2", "b/c/"}, "b": {"b/"}} {
		if diff := cmp.Diff(want, list(prefix)); diff != "" {
			t.Errorf("prefix %q: %s", prefix, diff)
		}
	}
}

func TestGoSDKMeetsConditions(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a/b.txt", "hello")
	client := w.sdk(owner).ServiceClient().NewContainerClient("reports").NewBlockBlobClient("a/b.txt")
	properties := ok[sdkblob.GetPropertiesResponse](t)(client.GetProperties(t.Context(), nil))
	if *properties.ContentLength != 5 || *properties.AccessTier != "Hot" {
		t.Errorf("got %+v", properties)
	}
	conditions := func(m sdkblob.ModifiedAccessConditions) *sdkblob.AccessConditions {
		return &sdkblob.AccessConditions{ModifiedAccessConditions: &m}
	}
	upload := func(m sdkblob.ModifiedAccessConditions) error {
		_, err := client.UploadBuffer(t.Context(), []byte("new"), &blockblob.UploadBufferOptions{AccessConditions: conditions(m)})
		return err
	}
	wantCode(t, upload(sdkblob.ModifiedAccessConditions{IfNoneMatch: pointer(azcore.ETagAny)}), 409, bloberror.BlobAlreadyExists)
	wantCode(t, upload(sdkblob.ModifiedAccessConditions{IfMatch: pointer(azcore.ETag(`"0x8D0"`))}), 412, bloberror.ConditionNotMet)
	unmodified := ok[sdkblob.DownloadStreamResponse](t)(client.DownloadStream(t.Context(), &sdkblob.DownloadStreamOptions{
		AccessConditions: conditions(sdkblob.ModifiedAccessConditions{IfNoneMatch: properties.ETag}),
	}))
	if *unmodified.ErrorCode != string(bloberror.ConditionNotMet) { // the SDK does not treat 304 as an error
		t.Errorf("got %+v", unmodified)
	}
	if err := upload(sdkblob.ModifiedAccessConditions{IfMatch: properties.ETag}); err != nil {
		t.Error(err)
	}
}

func TestGoSDKChangesAndDeletes(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	ctx, client := t.Context(), w.sdk(owner)
	one := client.ServiceClient().NewContainerClient("reports").NewBlobClient("a.txt")
	ok[sdkblob.SetMetadataResponse](t)(one.SetMetadata(ctx, map[string]*string{"Colour": pointer("red")}, nil))
	ok[sdkblob.SetHTTPHeadersResponse](t)(one.SetHTTPHeaders(ctx, sdkblob.HTTPHeaders{BlobContentType: pointer("text/html"), BlobContentLanguage: pointer("de")}, nil))
	got := ok[sdkblob.GetPropertiesResponse](t)(one.GetProperties(ctx, nil))
	if *got.ContentType != "text/html" || *got.ContentLanguage != "de" || *got.Metadata["Colour"] != "red" {
		t.Errorf("got %+v", got)
	}
	ok[azblob.DeleteBlobResponse](t)(client.DeleteBlob(ctx, "reports", "a.txt", nil))
	_, err := one.GetProperties(ctx, nil)
	wantCode(t, err, 404, bloberror.BlobNotFound)
	ok[azblob.DeleteContainerResponse](t)(client.DeleteContainer(ctx, "reports", nil))
	_, err = client.DeleteBlob(ctx, "reports", "a.txt", nil)
	wantCode(t, err, 404, bloberror.ContainerNotFound)
}

func TestGoSDKListsContainers(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"reports", "images", "$web"} {
		w.put(name, "x", "x")
	}
	var names []string
	for pager := w.sdk(reader).NewListContainersPager(&azblob.ListContainersOptions{MaxResults: pointer[int32](2)}); pager.More(); {
		for _, item := range ok[azblob.ListContainersResponse](t)(pager.NextPage(t.Context())).ContainerItems {
			names = append(names, *item.Name)
		}
	}
	if diff := cmp.Diff([]string{"$web", "images", "reports"}, names); diff != "" {
		t.Error(diff)
	}
}

// The SDK parses the challenge, asks for a token for what it names, and tries
// once more.
func TestGoSDKFollowsTheChallengeOnce(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	credential := &credential{w: w, as: owner}
	client := ok[*azblob.Client](t)(azblob.NewClient(endpoint, credential, &azblob.ClientOptions{ClientOptions: policy.ClientOptions{Transport: &http.Client{Transport: w}}}))
	w.Keys = noKeys{}
	_, err := client.DownloadStream(t.Context(), "reports", "a.txt", nil)
	wantCode(t, err, 401, "InvalidAuthenticationInfo")
	if n := len(w.edge.Journal.Snapshot().Entries); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	for _, o := range credential.options {
		if diff := cmp.Diff([]string{"https://storage.azure.com/.default"}, o.Scopes); diff != "" {
			t.Error(diff)
		}
	}
}

func TestGoSDKReadsTheReasonOfA403(t *testing.T) {
	w := newWorld(t)
	_, err := w.sdk(reader).UploadBuffer(t.Context(), "reports", "a.txt", []byte("x"), nil)
	wantCode(t, err, 403, bloberror.AuthorizationPermissionMismatch)
	why := w.last().Decision.Why
	for _, part := range []string{reader, "service principal of Storage Blob Data Reader in contoso", "containers/blobs/write",
		"has Storage Blob Data Reader on /subscriptions/s, which does not include it", "Assign Storage Blob Data Contributor", "/containers/reports"} {
		if !strings.Contains(why, part) {
			t.Errorf("%q lacks %q", why, part)
		}
	}
}

package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// HTTP range requests of one range.

const chunkBytes = 1 << 20

// parseRange reads a Range header for a body of so many bytes.  ok is false when no byte of it exists; a header that is
// none of "bytes=FIRST-LAST", "bytes=FIRST-" and "bytes=-COUNT" counts as absent.
func parseRange(header string, size int64) (start, end int64, partial, ok bool) {
	spec := strings.TrimPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if header == "" || spec == header || !dash || strings.Contains(spec, ",") {
		return 0, size, false, true
	}
	if first == "" {
		count, err := strconv.ParseInt(last, 10, 64)
		if err != nil {
			return 0, size, false, true
		}
		if count > size {
			count = size
		}
		return size - count, size, true, count > 0
	}
	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, size, false, true
	}
	end = size
	if last != "" {
		value, err := strconv.ParseInt(last, 10, 64)
		if err != nil || value < start {
			return 0, size, false, true
		}
		if value < size-1 {
			end = value + 1
		}
	}
	return start, end, true, start < size
}

// serveContent answers GET and HEAD.  cut >= 0 ends the connection after so many bytes.
func serveContent(out http.ResponseWriter, in *http.Request, body content, cut int64, sent func(int64)) {
	size := body.size()
	start, end, partial, ok := parseRange(in.Header.Get("Range"), size)
	header := out.Header()
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Type", "application/octet-stream")
	if !ok {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		http.Error(out, "416 Requested Range Not Satisfiable", http.StatusRequestedRangeNotSatisfiable)
		return
	}
	header.Set("Content-Length", strconv.FormatInt(end-start, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, size))
	}
	out.WriteHeader(status)
	if in.Method == http.MethodHead {
		return
	}
	buffer := make([]byte, chunkBytes)
	for at := start; at < end; {
		n := end - at
		if n > chunkBytes {
			n = chunkBytes
		}
		if cut >= 0 && at-start+n > cut {
			n = start + cut - at
		}
		if n > 0 {
			if err := body.read(buffer[:n], at); err != nil {
				panic(http.ErrAbortHandler)
			}
			if _, err := out.Write(buffer[:n]); err != nil {
				return
			}
			sent(n)
		}
		at += n
		if cut >= 0 && at-start >= cut {
			if flusher, ok := out.(http.Flusher); ok {
				flusher.Flush()
			}
			panic(http.ErrAbortHandler)
		}
	}
}

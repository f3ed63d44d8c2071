# --- images of containers: by docker or buildah, else an OCI layout in build/images (docs/deploy/images.md) ---
.PHONY: images
images: all
	deploy/docker/make-images '$(abspath $(OUT))/images' '$(VERSION)'

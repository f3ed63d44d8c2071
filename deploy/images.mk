# --- images of containers: by docker or buildah, else an OCI layout in build/images (docs/deploy/images.md) ---
.PHONY: images
images: all
	deploy/docker/make-images '$(abspath $(OUT))/images' '$(VERSION)'

# --- the chart, as a repository's folder in build/charts (docs/deploy/helm.md); needs helm ---
.PHONY: charts
charts:
	deploy/helm/make-charts '$(abspath $(OUT))/charts' '$(VERSION)'

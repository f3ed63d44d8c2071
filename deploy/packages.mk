# --- packages: what users install; each goal leaves its files in build/dist -----------------------------
DIST := $(OUT)/dist
DEB_VERSION ?= $(VERSION)
.PHONY: deb rpm
deb: all
	deploy/packages/build-deb '$(DEB_VERSION)' '$(abspath $(DIST))'
rpm:
	@echo "make rpm: there are no rpm packages: the tarball of 'make tarball' runs where the libraries of Debian 12 are" >&2; exit 1

# --- packages: what users install; each goal leaves its files in build/dist -----------------------------
DIST := $(OUT)/dist
DEB_VERSION ?= $(VERSION)
MAN := $(OUT)/man
SHARE = $(DESTDIR)$(prefix)/share
.PHONY: deb tarball apt-repo rpm man install-man uninstall-man

# Manual pages and completions, made of what the programs print from their tables. Several makes may be at it,
# and others read meanwhile: each makes a folder of its own and puts finished files in place.
man: $(MAN)/made
$(MAN)/made: $(PROGRAMS) deploy/packages/manpages deploy/packages/quidditch-setup
	mkdir -p $(MAN) && d=$$(mktemp -d $(MAN)/.new-XXXXXX) && trap 'rm -rf $$d' EXIT && \
		deploy/packages/manpages $(OUT)/bin $$d deploy/packages/quidditch-setup && \
		for s in bash zsh fish; do $(OUT)/bin/qd completion $$s > $$d/qd.$$s || exit 1; done && \
		mv -f $$d/* $(MAN)/ && touch $@
install-man: man
	$(INSTALL) -d $(SHARE)/man/man1 $(SHARE)/man/man5 $(SHARE)/man/man8 $(SHARE)/bash-completion/completions \
		$(SHARE)/zsh/vendor-completions $(SHARE)/fish/vendor_completions.d
	$(INSTALL) -m 644 $(MAN)/qd.1 $(SHARE)/man/man1
	$(INSTALL) -m 644 $(MAN)/quidditch.yml.5 $(SHARE)/man/man5
	$(INSTALL) -m 644 $(MAN)/quidditchd.8 $(SHARE)/man/man8
	$(INSTALL) -m 644 $(MAN)/qd.bash $(SHARE)/bash-completion/completions/qd
	$(INSTALL) -m 644 $(MAN)/qd.bash $(SHARE)/bash-completion/completions/quidditchd
	$(INSTALL) -m 644 $(MAN)/qd.zsh $(SHARE)/zsh/vendor-completions/_qd
	$(INSTALL) -m 644 $(MAN)/qd.fish $(SHARE)/fish/vendor_completions.d/qd.fish
	$(INSTALL) -m 644 $(MAN)/qd.fish $(SHARE)/fish/vendor_completions.d/quidditchd.fish
uninstall-man:
	rm -f $(SHARE)/man/man1/qd.1 $(SHARE)/man/man5/quidditch.yml.5 $(SHARE)/man/man8/quidditchd.8 \
		$(SHARE)/bash-completion/completions/qd $(SHARE)/bash-completion/completions/quidditchd \
		$(SHARE)/zsh/vendor-completions/_qd $(SHARE)/fish/vendor_completions.d/qd.fish $(SHARE)/fish/vendor_completions.d/quidditchd.fish
install: install-man
uninstall: uninstall-man

deb: all man
	deploy/packages/build-deb '$(DEB_VERSION)' '$(abspath $(DIST))' '$(abspath $(MAN))'
tarball: all man
	deploy/packages/build-tarball '$(VERSION)' '$(abspath $(DIST))'
# APT_KEY: the secret key of gpg's that signs
apt-repo: $(if $(APT_KEY),deb)
	deploy/packages/apt-repo '$(abspath $(DIST))' '$(APT_KEY)'
rpm:
	@echo "make rpm: there are no rpm packages; 'make tarball' makes an archive for machines with the libraries of Debian 12" >&2; exit 1

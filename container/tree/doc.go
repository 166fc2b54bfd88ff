// Package tree copies files into and out of a container without its help: no
// program of its image is run, and what the container does meanwhile cannot
// lead the copy astray.
//
//	Place ──pack──▶ tar archive ──unpack──▶ Place
//
// A Place is a path below a Root: a container's root directory, with all that
// is mounted there, or the machine's. A path that a person names is resolved
// inside its root, symbolic links included, by the kernel. From there on only
// names in directories that are held open are used, and no symbolic link is
// followed: none that was there, none that the archive makes, none that takes
// the place of a directory meanwhile. Only regular files, directories and
// symbolic links are opened or made; what else there is (devices, FIFOs,
// sockets, the kernel's own file systems) is passed over and told.
package tree

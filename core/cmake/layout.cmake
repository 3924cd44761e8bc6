# Where what is installed goes, all below the prefix. Parts find each other by the paths between them: the tree runs from anywhere.
set(CMAKE_INSTALL_LIBDIR lib CACHE PATH "Libraries, below the prefix")
include(GNUInstallDirs)
set(VQP_INSTALL_PLUGINDIR ${CMAKE_INSTALL_LIBDIR}/vqpipe)
set(VQP_INSTALL_DATADIR ${CMAKE_INSTALL_DATADIR}/vqpipe)
file(RELATIVE_PATH VQP_DATA_FROM_LIBRARY /${CMAKE_INSTALL_LIBDIR} /${VQP_INSTALL_DATADIR})
file(RELATIVE_PATH VQP_LIBRARY_FROM_BIN /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
file(RELATIVE_PATH VQP_PREFIX_FROM_PKGCONFIG /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" VQP_PREFIX_FROM_PKGCONFIG "${VQP_PREFIX_FROM_PKGCONFIG}")

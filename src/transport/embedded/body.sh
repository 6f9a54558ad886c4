# shellcheck shell=sh disable=SC2016 # what is not expanded here is for a shell in the host
# Builds the file system of one lab host inside fresh namespaces, then becomes the host's init.
# $1: the host's directory  $2: its name  $3: its address  $4: the executable  $5: what `lab init` is given
dir=$1 name=$2 address=$3 exe=$4 spec=$5
umask 022
readonly_bind() { mount --rbind "$1" "$2" && mount -o remount,bind,ro "$2"; }

mount --bind "$dir/fs" "$dir/fs"
cd "$dir/fs" || exit
mkdir -p proc sys dev run tmp usr opt srv home root mnt var/lib var/log var/cache var/spool var/www var/tmp .old
chmod 1777 tmp var/tmp
chmod 700 root
[ -e var/run ] || { ln -s ../run var/run; ln -s ../run/lock var/lock; }

# The machine's programs, not to be changed from here.
readonly_bind /usr usr
for x in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$x" ]; then ln -sfn "$(readlink "/$x")" "$x"
  elif [ -d "/$x" ]; then mkdir -p "$x"; readonly_bind "/$x" "$x"; fi
done
[ ! -d /var/lib/dpkg ] || { mkdir -p var/lib/dpkg; readonly_bind /var/lib/dpkg var/lib/dpkg; }

# Settings: the machine's, without its secrets and without its services. Copied, since files of an owner that has no number
# in here could not be changed. `made` says that the copy is complete.
if [ ! -e "$dir/made" ]; then
  rm -rf etc; mkdir etc
  # Where owners can't be kept, cp would leave out the modes as well.
  if chown 1 etc 2>/dev/null; then chown 0 etc; keep=all; else keep=mode,timestamps,links; fi
  cp -dR --preserve=$keep /etc/. etc/ 2>/dev/null || true
  rm -rf etc/systemd/system etc/systemd/user etc/shadow* etc/gshadow* etc/sudoers* etc/ssl/private etc/ssh etc/cron* etc/mtab
  rm -rf etc/hosts etc/hostname etc/resolv.conf
  mkdir -p etc/systemd/system etc/systemd/user etc/ssh etc/profile.d
  printf '127.0.0.1 localhost\n::1 localhost\n%s %s\n' "$address" "$name" >etc/hosts
  echo "$name" >etc/hostname
  # Nobody has a password; without the file `su` would not let even root through.
  (umask 077; sed 's/:.*/:*:19000:0:99999:7:::/' etc/passwd >etc/shadow)
  : >etc/resolv.conf
  ln -s /proc/self/mounts etc/mtab
  printf 'PATH=/run/windlass-lab/bin:$PATH\n' >etc/profile.d/windlass-lab.sh
  : >"$dir/made"
fi

# /usr/local can be written: deploy scripts put programs there. What the machine has in it is linked to.
mkdir -p "$dir/local/bin" "$dir/local/sbin"
for x in /usr/local/*; do
  b=${x##*/}
  case $b in bin|sbin) for y in "$x"/*; do [ ! -e "$y" ] || ln -sfn "/run/windlass-local/$b/${y##*/}" "$dir/local/$b/${y##*/}"; done ;;
  *) [ -e "$dir/local/$b" ] || [ ! -e "$x" ] || ln -sfn "/run/windlass-local/$b" "$dir/local/$b" ;; esac
done

mount -t tmpfs -o mode=755,size=64m run run
mkdir -p run/windlass-lab run/windlass-local run/lock run/user/0
chmod 700 run/user/0
mount --rbind usr/local run/windlass-local
mount --bind "$dir/local" usr/local
mount --bind "$dir/run" run/windlass-lab
mkdir -p run/windlass-lab/bin
: >>run/windlass-lab/windlass
mount --bind "$exe" run/windlass-lab/windlass
for x in systemctl journalctl; do
  ln -sfn ../windlass "run/windlass-lab/bin/$x"
  [ ! -f "usr/bin/$x" ] || mount --bind "$exe" "usr/bin/$x"
done

# Devices: the harmless ones. The superuser in here may be the one of the machine, who could write to its disks.
mount -t tmpfs -o mode=755,size=1m dev dev
for x in null zero full random urandom tty; do : >"dev/$x"; mount --bind "/dev/$x" "dev/$x"; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts && ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777,size=64m shm dev/shm
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mount -t proc proc proc
for x in sys sysrq-trigger irq bus fs; do [ ! -e "proc/$x" ] || readonly_bind "proc/$x" "proc/$x"; done

pivot_root . .old
cd /
umount -l /.old
rmdir /.old
exec /run/windlass-lab/windlass lab init "$spec"

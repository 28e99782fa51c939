package h2

import "encoding/binary"

// encoderTable bounds the table of the header encoder, whatever the client would keep.
const encoderTable = 4096

func (c *conn) onSettings(h head, p []byte) error {
	switch {
	case h.stream != 0:
		return connError{protocolError, "SETTINGS of a stream"}
	case h.has(flagAck):
		if len(p) > 0 {
			return connError{frameSizeError, "SETTINGS acknowledged with more"}
		}
		if c.unacked--; c.unacked < 0 {
			return connError{protocolError, "SETTINGS acknowledged that were not sent"}
		}
		return nil
	case len(p)%6 != 0:
		return connError{frameSizeError, "SETTINGS of another length"}
	case len(p) > 6*100:
		return connError{enhanceYourCalm, "too many settings"}
	}
	if c.settled {
		if err := c.meaningless(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.settled {
		c.settled = true
		c.patient()
	}
	for ; len(p) > 0; p = p[6:] {
		if err := c.setting(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.control(func(b []byte) []byte { return appendHead(b, 0, frameSettings, flagAck, 0) })
	return nil
}

// setting takes one of the client's settings. c.mu is held.
func (c *conn) setting(id uint16, v uint32) error {
	switch id {
	case settingTable:
		c.out.encoder.SetMaxDynamicTableSize(min(v, encoderTable))
	case settingPush:
		if v > 1 {
			return connError{protocolError, "ENABLE_PUSH neither 0 nor 1"}
		}
	case settingWindow:
		if v > largestWindow {
			return connError{flowControlError, "INITIAL_WINDOW_SIZE too large"}
		}
		return c.windows(int64(v))
	case settingFrame:
		if v < leastFrame || v > largestFrame {
			return connError{protocolError, "MAX_FRAME_SIZE out of range"}
		}
		c.out.frame = int(min(v, maxQueued))
	}
	return nil
}

// windows changes what all streams may send to what the client allows new ones.
func (c *conn) windows(first int64) error {
	by := first - c.out.first
	c.out.first = first
	for _, st := range c.streams {
		if st.window += by; st.window > largestWindow {
			return connError{flowControlError, "INITIAL_WINDOW_SIZE makes a window too large"}
		}
		st.wake.Broadcast()
	}
	return nil
}
